// The header in C++, with a program that uses it.
#include <sazukari.h>

#include <syslog.h>

#include <cstdlib>

static slength_t none(byte *, length_t, void *)
{
	return -1;
}

int main()
{
	szkr_ctx_t *ctx = static_cast<szkr_ctx_t *>(std::malloc(static_cast<std::size_t>(szkr_get_ctxsize())));
	szkr_iostream_t stream = {none, none, nullptr};
	szkr_srvkey_t key = {};
	int failed = szkr_init() != 0 || szkr_new_ctx(ctx, stream, key) == 0 || szkr_last_error(ctx) != szkr_err_invalid_state;
	szkr_destroy_ctx(ctx);
	std::free(ctx);
	szkr_destroy();
	return failed || LOG_DEBUG != 7;
}
