#include "sazukari.h"

const char *szkr_strerror(szkr_err_t error)
{
	switch (error) {
	case szkr_err_none:
		return "no error";
	case szkr_err_unknown:
		return "unknown error";
	case szkr_err_incompatible_versions:
		return "the server speaks another version of the protocol";
	case szkr_err_service_unavailable:
		return "the server takes no new sessions now";
	case szkr_err_unknown_errcode:
		return "the server refused with an error code that isn't known";
	case szkr_err_invalid_state:
		return "the call doesn't fit the state of the context, or an argument is wrong";
	case szkr_err_protocol:
		return "the server sent something that the protocol doesn't allow, or isn't the pinned server";
	case szkr_err_internal:
		return "out of memory, or the crypto library failed";
	case szkr_err_io:
		return "the connection failed, timed out, or was closed";
	case szkr_err_handshake_needed:
		return "the server can't resume the session; do a handshake";
	case szkr_err_server_blacklisted:
		return "the server's key must not be used any more";
	case szkr_err_message_too_long:
		return "the message is too long";
	case szkr_err_response_too_long:
		return "the response is too long";
	}
	return "unknown error";
}
