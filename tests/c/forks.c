/* Forks of a process that uses the library, in the ways a database server forks:
 *
 *     forks crowd KEYSTORE RECORDS   eight threads at work, a ninth changing CMKs, two more forking
 *     forks partings KEYSTORE        a client freed on one side while the other goes on with it
 *     forks memory                   a keystore in memory, on both sides
 *     forks orphans KEYSTORE         children that free their client while their parent's threads work;
 *                                    each says its id, and stays until a line comes in
 */
#include "forks.h"

/* ---- crowd ---- */

static void *work_until_stopped(void *unused)
{
    struct log *log = calloc(1, sizeof *log);
    while (!stop) {
        work(log);
        /* Leaves the children a part of the machine. */
        usleep(300);
    }
    log_flush(log);
    free(log);
    return unused;
}

/* Mostly changes that do not make the file grow. */
static void *change_until_stopped(void *counter)
{
    kms_response response;
    char request[128];
    long *changes = counter;
    for (; !stop; ++*changes) {
        const char *action = *changes % 8 == 0   ? "CreateKeyVersion"
                             : *changes % 2 == 0 ? "EnableKey"
                                                 : "DisableKey";
        snprintf(request, sizeof request, "Action=%s&KeyId=%s", action,
                 *changes % 8 == 0 ? key_id : side_key_id);
        MUST(ask(request, &response));
        /* Whoever asks for the lock at random moments meets few where a writer always has it. */
        usleep(3000);
    }
    return NULL;
}

static void be_a_child(int forker, int at, int generation)
{
    static struct log log;
    char alias[64];
    alarm(CHILD_LIMIT);
    check_nothing_is_open();
    log.count = 0;
    check_decrypts(known_blob, known_key, NULL);
    for (int round = 0; round < 3; round++)
        work(&log);
    snprintf(alias, sizeof alias, "child-%d-%d-%d", forker, at, generation);
    create_alias(alias);
    HOLDS(threads() == 1);
    check_nothing_is_open();
    if (at % 10 == 0 && generation == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            be_a_child(forker, at, generation + 1);
            _exit(0);
        }
        wait_for(grandchild);
    }
    work(&log);
    log_flush(&log);
}

static void *fork_often(void *number)
{
    int forker = *(int *)number;
    for (int at = 0; at < FORKS_EACH; at++) {
        pid_t child = fork();
        if (child == 0) {
            be_a_child(forker, at, 0);
            _exit(0);
        }
        wait_for(child);
    }
    return NULL;
}

static void crowd(const char *keystore, const char *records)
{
    pthread_t workers[THREADS], changer, forkers[FORKERS];
    int numbers[FORKERS];
    long changes = 0;
    records_file = open(records, O_WRONLY | O_CREAT | O_APPEND, 0600);
    HOLDS(records_file >= 0);
    descriptors_at_start = descriptors();
    open_and_prepare(keystore);
    HOLDS(threads() == 1);
    check_nothing_is_open();

    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_create(&workers[at], NULL, work_until_stopped, NULL) == 0);
    HOLDS(pthread_create(&changer, NULL, change_until_stopped, &changes) == 0);
    for (int at = 0; at < FORKERS; at++) {
        numbers[at] = at;
        HOLDS(pthread_create(&forkers[at], NULL, fork_often, &numbers[at]) == 0);
    }
    for (int at = 0; at < FORKERS; at++)
        HOLDS(pthread_join(forkers[at], NULL) == 0);
    stop = true;
    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_join(workers[at], NULL) == 0);
    HOLDS(pthread_join(changer, NULL) == 0);

    wait_for_one_thread();
    check_nothing_is_open();
    for (int forker = 0; forker < FORKERS; forker++)
        for (int at = 0; at < FORKS_EACH; at++)
            for (int generation = 0; generation <= (at % 10 == 0); generation++) {
                char alias[64];
                snprintf(alias, sizeof alias, "alias/child-%d-%d-%d", forker, at, generation);
                HOLDS(find(alias) == KMS_OK);
            }
    kms_client_free(client);
    check_nothing_is_open();
    printf("%ld changes beside the children's\n", changes);
}

/* ---- partings ---- */

static void partings(const char *keystore)
{
    descriptors_at_start = descriptors();
    open_and_prepare(keystore);
    for (int round = 0; round < 10; round++) {
        char done = 0;
        char alias[64];
        int ends[2];
        pid_t child;
        HOLDS(pipe(ends) == 0);

        /* The parent frees while the child writes. */
        child = fork();
        if (child == 0) {
            alarm(CHILD_LIMIT);
            for (int at = 0; at < 20; at++) {
                snprintf(alias, sizeof alias, "late-%d-%d", round, at);
                create_alias(alias);
                check_decrypts(known_blob, known_key, NULL);
                if (at == 0) tell(ends[1], &done, 1);
            }
            kms_client_free(client);
            _exit(0);
        }
        hear(ends[0], &done, 1);
        kms_client_free(client);
        wait_for(child);
        client = open_client(keystore);
        for (int at = 0; at < 20; at++) {
            snprintf(alias, sizeof alias, "alias/late-%d-%d", round, at);
            HOLDS(find(alias) == KMS_OK);
        }

        /* The child frees, which wipes its copy, while the parent goes on. */
        check_decrypts(known_blob, known_key, NULL);
        child = fork();
        if (child == 0) {
            alarm(CHILD_LIMIT);
            kms_client_free(client);
            tell(ends[1], &done, 1);
            _exit(0);
        }
        hear(ends[0], &done, 1);
        check_decrypts(known_blob, known_key, NULL);
        wait_for(child);
        check_decrypts(known_blob, known_key, NULL);
        snprintf(alias, sizeof alias, "after-%d", round);
        create_alias(alias);
        close(ends[0]);
        close(ends[1]);
    }
    kms_client_free(client);
    check_nothing_is_open();
}

/* ---- memory ---- */

static void memory(void)
{
    struct {
        char key_id[64];
        uint8_t key[32], blob[142];
    } childs, parents;
    kms_response response;
    char request[128];
    int up[2], down[2];
    pid_t child;
    descriptors_at_start = descriptors();
    open_and_prepare("memory:");
    HOLDS(pipe(up) == 0 && pipe(down) == 0);

    child = fork();
    if (child == 0) {
        alarm(CHILD_LIMIT);
        check_decrypts(known_blob, known_key, NULL);
        create_key(childs.key_id);
        generate(childs.key, childs.blob, NULL);
        tell(up[1], &childs, sizeof childs);
        snprintf(request, sizeof request, "Action=DisableKey&KeyId=%s", side_key_id);
        MUST(ask(request, &response));

        hear(down[0], &parents, sizeof parents);
        HOLDS(find(parents.key_id) == KMS_ERR_KEY_NOT_FOUND);
        check_decrypts(parents.blob, parents.key, NULL);
        kms_client_free(client);
        tell(up[1], "", 1);
        _exit(0);
    }
    create_key(parents.key_id);
    generate(parents.key, parents.blob, NULL);
    hear(up[0], &childs, sizeof childs);
    /* CMKs made on one side are not there on the other. Those from before are the same on both. */
    HOLDS(strcmp(parents.key_id, childs.key_id) != 0);
    HOLDS(find(childs.key_id) == KMS_ERR_KEY_NOT_FOUND);
    check_decrypts(childs.blob, childs.key, NULL);
    tell(down[1], &parents, sizeof parents);
    hear(up[0], &childs, 1);
    wait_for(child);

    snprintf(request, sizeof request,
             "Action=GenerateDataKeyWithoutPlaintext&KeyId=%s", side_key_id);
    MUST(ask(request, &response));
    check_decrypts(known_blob, known_key, NULL);
    kms_client_free(client);
    for (int at = 0; at < 2; at++) {
        close(up[at]);
        close(down[at]);
    }
    check_nothing_is_open();
}

/* ---- orphans ---- */

static void *use_until_stopped(void *unused)
{
    while (!stop)
        check_decrypts(known_blob, known_key, NULL);
    return unused;
}

static void orphans(const char *keystore)
{
    pthread_t workers[THREADS];
    pthread_attr_t small;
    open_and_prepare(keystore);
    /* There is less to search where the stacks are small. */
    HOLDS(pthread_attr_init(&small) == 0);
    HOLDS(pthread_attr_setstacksize(&small, 128 << 10) == 0);
    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_create(&workers[at], &small, use_until_stopped, NULL) == 0);
    for (int at = 0; at < 10; at++) {
        char byte;
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_LIMIT);
            check_decrypts(known_blob, known_key, NULL);
            kms_client_free(client);
            dprintf(STDOUT_FILENO, "%ld\n", (long)getpid());
            hear(STDIN_FILENO, &byte, 1);
            _exit(0);
        }
        wait_for(child);
    }
    stop = true;
    for (int at = 0; at < THREADS; at++)
        HOLDS(pthread_join(workers[at], NULL) == 0);
    kms_client_free(client);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "crowd") == 0)
        crowd(argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "partings") == 0)
        partings(argv[2]);
    else if (argc == 2 && strcmp(argv[1], "memory") == 0)
        memory();
    else if (argc == 3 && strcmp(argv[1], "orphans") == 0)
        orphans(argv[2]);
    else
        return 2;
    return 0;
}
