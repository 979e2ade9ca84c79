/* What the programs of the tests say when something is not as it should be. */
#ifndef EXPECT_H
#define EXPECT_H

#include <prewire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program unless a call returns this status. */
#define EXPECT(status, call)                                                                                                                         \
    do {                                                                                                                                             \
        uint32_t expect_status = (uint32_t)(call);                                                                                                   \
        if (expect_status != (uint32_t)(status)) {                                                                                                   \
            fprintf(stderr, "%s:%d: %s gave %s, not %s: %s\n", __FILE__, __LINE__, #call, prewire_status_name(expect_status),                        \
                    prewire_status_name((uint32_t)(status)), prewire_last_error());                                                                  \
            exit(1);                                                                                                                                 \
        }                                                                                                                                            \
    } while (0)

/* A call that succeeds. */
#define OK(call) EXPECT(PREWIRE_STATUS_OK, call)

/* A call that fails so, and says this among other things. */
#define EXPECT_TEXT(status, words, call)                                                                                                             \
    do {                                                                                                                                             \
        EXPECT(status, call);                                                                                                                        \
        if (strstr(prewire_last_error(), (words)) == NULL) {                                                                                         \
            fprintf(stderr, "%s:%d: %s does not say \"%s\": %s\n", __FILE__, __LINE__, #call, (words), prewire_last_error());                        \
            exit(1);                                                                                                                                 \
        }                                                                                                                                            \
    } while (0)

/* Something that must hold. */
#define HOLDS(condition)                                                                                                                             \
    do {                                                                                                                                             \
        if (!(condition)) {                                                                                                                          \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                                                            \
            exit(1);                                                                                                                                 \
        }                                                                                                                                            \
    } while (0)

#endif
