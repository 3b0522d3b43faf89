package dev.megaki;

import java.io.IOException;

/** A failure of a connection to a server of Megaki, by its {@link Reason}. */
public class MegakiException extends IOException {
    private static final long serialVersionUID = 1;

    /** What went wrong. */
    public enum Reason {
        /** The connection failed, was closed, or took too long. */
        IO,
        /** The server sent something that the protocol does not allow, or is not the pinned one. */
        PROTOCOL,
        /** The server speaks another version of the protocol. */
        INCOMPATIBLE_VERSIONS,
        /** The server takes no new sessions now. */
        SERVICE_UNAVAILABLE,
        /** The server's key must not be used any more. */
        SERVER_BLACKLISTED,
        /** The server refused with an error that this client does not know. */
        UNKNOWN_ERROR,
        /** The message is empty or over 1 MiB. Nothing was sent. */
        MESSAGE_SIZE,
        /** The response is over 1 MiB. */
        RESPONSE_TOO_LONG,
        /** A connection or the client was closed before. */
        CLOSED
    }

    private final Reason reason;
    private boolean sent;

    public MegakiException(Reason reason, String message) {
        super(message);
        this.reason = reason;
    }

    public MegakiException(Reason reason, String message, Throwable cause) {
        super(message, cause);
        this.reason = reason;
    }

    /** Returns what went wrong. */
    public Reason getReason() {
        return reason;
    }

    /**
     * Reports whether the server may have handled the message. If not, it can be sent
     * again without harm.
     */
    public boolean mayHaveArrived() {
        return sent;
    }

    MegakiException sent() {
        sent = true;
        return this;
    }
}
