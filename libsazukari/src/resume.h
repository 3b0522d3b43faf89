/* resume.h: RSTOR, RSTOR-ACK, REQ-REHS. */
#ifndef SZKRI_RESUME_H
#define SZKRI_RESUME_H

#include "context.h"

/* szkri_resume resumes a session. If the server asks for a handshake, the
 * error is szkr_err_handshake_needed and the context is fresh. After any other
 * failure the context keeps the session, which can be tried again. */
int szkri_resume(szkr_ctx_t *ctx, const struct szkri_session *session);

/* szkri_open_rstor_ack checks a whole RSTOR-ACK, the response to a RSTOR with
 * augment under the session's key, and gives the new master key. It returns
 * szkr_err_none, or what is wrong. */
szkr_err_t szkri_open_rstor_ack(const struct szkri_rstor *p, const struct szkri_session *session,
                                const byte augment[MEGAKI_KEY_BYTES], byte master[MEGAKI_KEY_BYTES], const char **detail);

#endif
