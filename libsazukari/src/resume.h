/* resume.h: RSTOR, RSTOR-ACK, REQ-REHS. */
#ifndef SZKRI_RESUME_H
#define SZKRI_RESUME_H

#include "context.h"

/* szkri_resume resumes a session. If the server asks for a handshake, the
 * error is szkr_err_handshake_needed and the context is fresh. After any other
 * failure the context keeps the session, which can be tried again. */
int szkri_resume(szkr_ctx_t *ctx, const struct szkri_session *session);

#endif
