package com.nmi.sazukari;

/** The errors of libsazukari, with the numbers that they have in C. */
public enum ErrorCode {
    NONE(0),
    UNKNOWN(1),
    INCOMPATIBLE_VERSIONS(2),
    SERVICE_UNAVAILABLE(3),
    UNKNOWN_ERRCODE(4),
    INVALID_STATE(5),
    PROTOCOL(6),
    INTERNAL(7),
    IO(8),
    HANDSHAKE_NEEDED(9),
    SERVER_BLACKLISTED(10),
    MESSAGE_TOO_LONG(11),
    RESPONSE_TOO_LONG(12);

    private final int number;

    ErrorCode(int number) {
        this.number = number;
    }

    /** Returns the number that the error has in C. */
    public int number() {
        return number;
    }

    /** Returns the error of a number, UNKNOWN if there is none. */
    public static ErrorCode of(int number) {
        for (ErrorCode e : values()) {
            if (e.number == number) {
                return e;
            }
        }
        return UNKNOWN;
    }
}
