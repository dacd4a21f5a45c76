/*
 * The runner for C: performs the cases of a list through kmsbox.h alone.
 *
 *     run_cases LIST --dir DIR [--load FILE] [--save FILE]
 *
 * tests/cases/README.md tells the format, what is printed and what the exit statuses mean.
 */
#define _POSIX_C_SOURCE 200809L

#include "cases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct arguments {
    const char *list, *dir, *load, *save;
} arguments;

/* The request ids so far. */
typedef struct ids {
    char (*items)[sizeof((kms_response *)0)->request_id];
    size_t count;
} ids;

/* ---- Checks --------------------------------------------------------------------------------- */

/* What is wrong with the answer's request id, to be freed, or NULL. */
static char *seen_before(ids *seen, const char *request_id)
{
    void *items;
    for (size_t i = 0; i < seen->count; i++)
        if (strcmp(seen->items[i], request_id) == 0)
            return printed("the request id %s was another step's", request_id);
    items = realloc(seen->items, (seen->count + 1) * sizeof *seen->items);
    if (items == NULL)
        bad_list(0, "no memory");
    seen->items = items;
    strcpy(seen->items[seen->count++], request_id);
    return NULL;
}

static char *wrong_status(const step *expected, const answer *got)
{
    const char *code = got->response.error_code;
    /* kms_encryption_context gives a status and no code. */
    if (got->status == expected->expected
        && (!got->has_response || strcmp(code, expected->code) == 0))
        return NULL;
    return printed("expected %s%s%s, came %s %s (%s)", expected->status,
                   expected->code[0] != '\0' ? " " : "", expected->code,
                   kms_status_name(got->status), code, got->response.error_message);
}

static char *wrong_check(const answer *got, const char *name, const char *wanted)
{
    char *field, *wrong = NULL;
    if (strncmp(name, "member.", 7) == 0)
        return answer_has_member(got, name + 7, wanted)
                   ? NULL
                   : printed("expected a member %s that is %s", name + 7, wanted);
    field = answer_field(got, name);
    if (field == NULL || strcmp(field, wanted) != 0)
        wrong = printed("expected %s %s, came %s", name, wanted, field != NULL ? field : "none");
    free(field);
    return wrong;
}

/* What does not hold of the answer, to be freed, or NULL. */
static char *wrong_answer(const run *with, ids *seen, const step *expected, const answer *got)
{
    char *wrong = wrong_status(expected, got);
    if (wrong == NULL)
        wrong = answer_fault(got);
    if (wrong == NULL && got->has_response)
        wrong = seen_before(seen, got->response.request_id);
    for (size_t i = 0; i < expected->checks.count && wrong == NULL; i++) {
        const word *check = &expected->checks.items[i];
        char *wanted = resolved(&with->fields, check->value, expected->line);
        wrong = wrong_check(got, check->name, wanted);
        free(wanted);
    }
    return wrong;
}

/* ---- Cases ---------------------------------------------------------------------------------- */

static void open_new_keystore(run *with)
{
    uint8_t root_key[KMS_ROOT_KEY_LEN];
    kms_options *options = NULL;
    memset(root_key, 0x42, sizeof root_key);
    if (kms_options_new(&options) != KMS_OK
        || kms_options_set(options, "keystore", "memory:", NULL) != KMS_OK
        || kms_options_set_root_key(options, root_key, sizeof root_key, NULL) != KMS_OK
        || kms_client_open(options, &with->client, NULL) != KMS_OK)
        bad_list(0, "a new keystore cannot be opened");
    kms_options_free(options);
}

/* Returns whether every step came out as the list says. */
static int run_case(run *with, ids *seen, const test_case *made)
{
    int held = 1;
    if (strcmp(made->steps[0].name, "open") != 0)
        open_new_keystore(with);
    for (size_t i = 0; i < made->step_count && held; i++) {
        const step *each = &made->steps[i];
        answer got;
        char *wrong;
        step_perform(with, each, &got);
        wrong = wrong_answer(with, seen, each, &got);
        if (wrong != NULL)
            printf("not ok %s: line %zu: %s\n", made->name, each->line, wrong);
        else if (each->save != NULL && got.status == KMS_OK)
            answer_save(&got, &with->fields, each->save);
        held = wrong == NULL;
        free(wrong);
        answer_free(&got);
    }
    if (held)
        printf("ok %s\n", made->name);
    kms_client_free(with->client);
    with->client = NULL;
    return held;
}

static int run_list(const list *cases, const arguments *given)
{
    int shared = given->load != NULL || given->save != NULL, held = 1;
    run with = {0};
    ids seen = {0};
    if (given->load != NULL)
        saved_read(&with.fields, given->load);
    for (size_t i = 0; i < cases->count; i++) {
        char *dir = shared ? copy_of(given->dir)
                           : printed("%s/%s", given->dir, cases->cases[i].name);
        if (!shared && mkdir(dir, 0700) != 0)
            bad_list(0, "%s: %s", dir, strerror(errno));
        save_field(&with.fields, "dir", "", dir);
        held = run_case(&with, &seen, &cases->cases[i]) && held;
        fflush(stdout);
        if (!shared)
            saved_free(&with.fields);
        free(dir);
    }
    if (given->save != NULL && !saved_write(&with.fields, given->save))
        bad_list(0, "%s cannot be written", given->save);
    saved_free(&with.fields);
    free(seen.items);
    return held;
}

static int read_arguments(int argc, char **argv, arguments *given)
{
    for (int i = 1; i < argc; i++) {
        const char **place = strcmp(argv[i], "--dir") == 0    ? &given->dir
                             : strcmp(argv[i], "--load") == 0 ? &given->load
                             : strcmp(argv[i], "--save") == 0 ? &given->save
                                                              : &given->list;
        if (place != &given->list)
            i++;
        if (*place != NULL || i == argc)
            return 0;
        *place = argv[i];
    }
    return given->list != NULL && given->dir != NULL;
}

int main(int argc, char **argv)
{
    arguments given = {0};
    list cases;
    int held;
    if (!read_arguments(argc, argv, &given)) {
        fprintf(stderr, "usage: run_cases LIST --dir DIR [--load FILE] [--save FILE]\n");
        return 2;
    }
    list_read(&cases, given.list);
    held = run_list(&cases, &given);
    list_free(&cases);
    return held ? 0 : 1;
}
