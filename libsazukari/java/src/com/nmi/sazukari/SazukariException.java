package com.nmi.sazukari;

import java.io.IOException;

/** A failure of libsazukari. */
public class SazukariException extends IOException {
    private static final long serialVersionUID = 1;

    private final ErrorCode code;

    public SazukariException(ErrorCode code, String message) {
        super(message);
        this.code = code;
    }

    public SazukariException(ErrorCode code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    /** Returns which failure it is. */
    public ErrorCode getCode() {
        return code;
    }
}
