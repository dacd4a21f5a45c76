/* What the parts of the runner know of each other: the list, the answer of a step, texts and bytes. */
#ifndef CASES_H
#define CASES_H

#include <kmsbox.h>

/* Lets the compiler check formats, and know what does not return. */
#if defined(__GNUC__) || defined(__clang__)
#define PRINTS(at, rest) __attribute__((format(printf, at, rest)))
#define ENDS_THE_PROGRAM __attribute__((noreturn))
#else
#define PRINTS(at, rest)
#define ENDS_THE_PROGRAM
#endif

/* ---- list.c: the list as it is written ----------------------------------------------------- */

typedef struct word {
    char *name;  /* decoded */
    char *value; /* as written */
} word;

typedef struct words {
    word *items;
    size_t count;
} words;

typedef struct step {
    size_t line;
    char *name;
    words arguments; /* without save= */
    const char *save;
    const char *status; /* as written, and as a number */
    kms_status expected;
    const char *code; /* "" for KMS_OK */
    words checks;
} step;

typedef struct test_case {
    char *name;
    step *steps;
    size_t step_count;
} test_case;

typedef struct list {
    char *text; /* everything above points into it */
    test_case *cases;
    size_t count;
} list;

/* Ends the program with 2: the list cannot be read. Line 0 is none. */
ENDS_THE_PROGRAM PRINTS(2, 3) void bad_list(size_t line, const char *format, ...);

void list_read(list *read, const char *path);
void list_free(list *read);

/* Whether a list of names with spaces between has this one; "NAME." stands for all that begin so. */
int is_among(const char *names, const char *name);

/* ---- texts.c: encodings, and what was saved ------------------------------------------------- */

typedef struct saved {
    word *items; /* the name is NAME.FIELD, or "dir" */
    size_t count;
} saved;

void *must_alloc(size_t len);
char *copy_of(const char *text);
PRINTS(1, 2) char *printed(const char *format, ...);

/* The value with {NAME.FIELD} replaced and the percent-encoding undone. */
char *resolved(const saved *fields, const char *value, size_t line);
void decode_name(char *name, size_t line);
char *percent_encoded(const char *text);

char *to_hex(const uint8_t *bytes, size_t len);
uint8_t *from_hex(const char *hex, size_t *len, size_t line);
char *to_base64(const uint8_t *bytes, size_t len);
uint8_t *from_base64(const char *base64, size_t *len); /* NULL where it is none */

void save_field(saved *fields, const char *name, const char *field, const char *value);
void saved_read(saved *fields, const char *path);
int saved_write(const saved *fields, const char *path);
void saved_free(saved *fields);

/* ---- json.c: an answer's members ------------------------------------------------------------ */

/* Called for each text, number, true and false that has a name. What it returns ends the walk, unless 0. */
typedef int (*member_visitor)(void *context, const char *name, const char *value);

/* Returns what the visitor returned last, or -1 where the document is no JSON. */
int json_members(const char *document, member_visitor visit, void *context);

/* ---- answers.c: what came of a step --------------------------------------------------------- */

typedef struct answer {
    kms_status status;
    int has_response;
    kms_response response;
    uint8_t *plaintext, *blob; /* NULL where the step gives none */
    size_t plaintext_capacity, plaintext_len, blob_capacity, blob_len;
    size_t count; /* of a call for many */
    const size_t *blob_lens;
    kms_status *statuses;
    int is_document; /* the answer is one, also to a refusal */
    char *document;
    size_t document_len;
} answer;

/* A field by its name as text, or NULL where the answer has none. */
char *answer_field(const answer *from, const char *name);

/* What of the conventions does not hold, or NULL. */
char *answer_fault(const answer *from);

void answer_save(const answer *from, saved *fields, const char *name);
int answer_has_member(const answer *from, const char *name, const char *value);
void answer_free(answer *used);

/* ---- arguments.c: what a step is given ------------------------------------------------------ */

typedef struct run {
    kms_client *client; /* NULL after an open that failed */
    saved fields;
} run;

/* A step being performed. The values are those of its arguments, resolved, in their order. */
typedef struct call {
    const step *written;
    char **values;
    run *with;
    answer *got;
} call;

/* NULL, or `otherwise`, where the argument is not given. */
char *argument(const call *made, const char *name);
size_t size_or(const call *made, const char *name, size_t otherwise);

int32_t key_spec(const call *made);
uint32_t number_of_bytes(const call *made);

/*
 * The JSON of a context, to be freed; NULL for none. A context that kms_encryption_context refuses
 * ends the step, with its status and no response.
 */
kms_status context_argument(const call *made, const char *name, char **json);

/* The blob given in, to be freed, after flip= and cut=. */
uint8_t *blob_argument(const call *made, size_t *len);

/* The blobs given in, one behind the other, and their lengths; both to be freed. */
uint8_t *blobs_argument(const call *made, size_t **lens, size_t *count);

/* Buffers for the answer: of the capacity that the step says, or of the usual one. */
void plaintext_buffer(const call *made, size_t usual);
void blob_buffer(const call *made, size_t usual);

/* ---- steps.c: the functions of kmsbox.h ----------------------------------------------------- */

/* What the steps are called, what they take and what can be checked; ends the program for others. */
void step_must_be_known(const step *written);

void step_perform(run *with, const step *written, answer *got);

#endif
