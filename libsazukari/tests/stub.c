/* The names of the reference's library, without versions and without a soname:
 * what programs in the field were linked with. */
#define STUB(name) \
	void name(void); \
	void name(void) {}
STUB(szkr_init)
STUB(szkr_get_ctxsize)
STUB(szkr_new_ctx)
STUB(szkr_reset_ctx)
STUB(skzr_reset_ctx)
STUB(szkr_do_handshake)
STUB(szkr_resume_session)
STUB(szkr_last_error)
STUB(szkr_send_message)
STUB(szkr_get_session_data)
STUB(szkr_get_session_data_size)
STUB(szkr_destroy_ctx)
STUB(szkr_destroy)
