/* The log goes to a callback, from the level that was asked for on; none comes after it was taken away. */
#include "testing.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static int lines, admissions, below;
static volatile int closed;

static void on_line(pcclxLogLevel_t level, const char *category, const char *message, void *context) {
    pthread_mutex_lock(&gate);
    lines++;
    below += level < *(pcclxLogLevel_t *) context;
    admissions += strcmp(category, "Collective.Master") == 0 && strstr(message, "admitted") != NULL;
    pthread_mutex_unlock(&gate);
    if (closed) {
        printf("  a line came after the callback was taken away\n");
        exit(1);
    }
}

static void use(void) {
    master_t master = start_master();
    pcclComm_t *peer = new_peer(master.address, 0);
    OK(pcclConnect(peer));
    OK(pcclDestroyCommunicator(peer));
    OK(pcclDestroyMaster(master.instance));
}

static void the_callback_hears_what_it_asked_for(void) {
    pcclxLogLevel_t level = pcclxLogInformation;
    OK(pcclxSetLogCallback(on_line, level, &level));
    use();
    CHECK(lines > 0 && admissions > 0 && below == 0);
    level = pcclxLogCritical;
    OK(pcclxSetLogCallback(on_line, level, &level));
    lines = 0;
    use();
    CHECK(lines == 0);
}

static volatile int using;

static void *use_on(void *unused) {
    while (using) {
        use();
    }
    return unused;
}

static void no_line_comes_after_it_was_taken_away(void) {
    pcclxLogLevel_t level = pcclxLogTrace;
    pthread_t thread;
    using = 1;
    pthread_create(&thread, NULL, use_on, NULL);
    for (int i = 0; i < 50; i++) {
        closed = 0;
        OK(pcclxSetLogCallback(on_line, level, &level));
        use();
        OK(pcclxSetLogCallback(NULL, pcclxLogNone, NULL));
        closed = 1;
    }
    using = 0;
    pthread_join(thread, NULL);
}

static void the_file_of_the_environment_gets_the_rest(void) {
    const char *path = getenv("COLLECTIVE_LOG_FILE");
    char line[1024];
    int found = 0;
    if (!CHECK(path != NULL)) {
        return;
    }
    use();
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        found += strstr(line, "Information Collective.Master: ") != NULL;
    }
    CHECK(found > 0);
    if (file != NULL) {
        fclose(file);
    }
}

int main(void) {
    OK(pcclInit());
    RUN(the_callback_hears_what_it_asked_for);
    RUN(no_line_comes_after_it_was_taken_away);
    RUN(the_file_of_the_environment_gets_the_rest);
    return testing_failures != 0;
}
