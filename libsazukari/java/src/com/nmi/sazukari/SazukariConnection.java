package com.nmi.sazukari;

import java.io.Closeable;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;

/**
 * A connection to a server of Megaki, with a session on it.
 *
 * <pre>
 * SazukariServerKey key = SazukariServerKey.read(new File("server.key.pub"));
 * try (SazukariConnection c = SazukariConnection.connect("example.org", 6363, key, null, 10000)) {
 *     byte[] response = c.send("hello".getBytes("UTF-8"));
 *     byte[] session = c.session(); // to resume it the next time
 * }
 * </pre>
 *
 * <p>It may be used from several threads: messages take turns, and {@link #close}
 * ends the one that is in flight. After a {@link SazukariException} of {@link
 * #send} connect again, with the session.
 */
public final class SazukariConnection implements Closeable {
    private final TimedSocket socket;
    private final int socketHandle;
    private final int context;
    private final boolean resumed;
    private boolean closed;

    private SazukariConnection(TimedSocket socket, SazukariServerKey key, byte[] session) throws SazukariException {
        this.socket = socket;
        socketHandle = SazukariNative._snAddSocket(socket);
        context = SazukariNative._szkrNewContext(socketHandle, ByteBuffer.wrap(key.toBytes()));
        if (context < 0) {
            SazukariNative._snRemoveSocket(socketHandle);
            throw new SazukariException(ErrorCode.INTERNAL, "no memory for a context");
        }
        boolean begun = false;
        try {
            resumed = begin(session);
            begun = true;
        } finally {
            if (!begun) {
                release();
            }
        }
    }

    /**
     * Connects, and resumes a session or does a handshake.
     *
     * @param session a session to resume, or null; if the server can't resume it, a
     *     handshake follows
     * @param timeoutMillis bounds the connecting, a handshake or a resumption, and
     *     each message with its response; 0 means none
     */
    public static SazukariConnection connect(String host, int port, SazukariServerKey key, byte[] session, int timeoutMillis)
            throws SazukariException {
        if (session != null && session.length != SazukariNative._szkrGetSessionDataSize()) {
            throw new SazukariException(ErrorCode.INVALID_STATE, "a session has " + SazukariNative._szkrGetSessionDataSize() + " bytes");
        }
        TimedSocket socket = null;
        boolean connected = false;
        try {
            socket = TimedSocket.connect(InetAddress.getAllByName(host), port, timeoutMillis);
            SazukariConnection c = new SazukariConnection(socket, key, session);
            if (!socket.isQuiet()) {
                c.release();
                throw new SazukariException(ErrorCode.IO, "the server closed the connection, or sent something out of turn");
            }
            connected = true;
            return c;
        } catch (SazukariException e) {
            throw e;
        } catch (IOException e) {
            throw new SazukariException(ErrorCode.IO, host + ":" + port + ": " + e.getMessage(), e);
        } finally {
            if (socket != null && !connected) {
                closeQuietly(socket);
            }
        }
    }

    private boolean begin(byte[] session) throws SazukariException {
        socket.begin();
        if (session != null) {
            if (SazukariNative._szkrResume(context, ByteBuffer.wrap(session)) == 0) {
                return true;
            }
            if (ErrorCode.of(SazukariNative._szkrLastError(context)) != ErrorCode.HANDSHAKE_NEEDED) {
                throw failure();
            }
        }
        if (SazukariNative._szkrHandshake(context) != 0) {
            throw failure();
        }
        return false;
    }

    private SazukariException failure() {
        ErrorCode code = ErrorCode.of(SazukariNative._szkrLastError(context));
        return new SazukariException(code, code + ": " + SazukariNative._szkrLastErrorDetail(context));
    }

    /** Reports whether the session was resumed, not made by a handshake. */
    public boolean isResumed() {
        return resumed;
    }

    /**
     * Reports whether a message can be sent: the server hasn't closed the connection, as
     * far as it is known here. If it isn't usable, nothing of the next message would be
     * handled; connect again, with the session.
     */
    public synchronized boolean isUsable() {
        return !closed && socket.isQuiet();
    }

    /** Sends a message of 1 byte to 1 MiB, and returns the response, which may be empty. */
    public synchronized byte[] send(byte[] message) throws SazukariException {
        checkOpen();
        socket.begin();
        if (SazukariNative._szkrSendMessage(context, ByteBuffer.wrap(message)) != 0) {
            throw failure();
        }
        ByteBuffer response = SazukariNative._szkrAccessResponseBuffer(context);
        SazukariNative._szkrDestroyResponseBuffer(context);
        if (response == null) {
            throw new SazukariException(ErrorCode.INTERNAL, "no memory for the response");
        }
        byte[] bytes = new byte[response.remaining()];
        response.get(bytes);
        return bytes;
    }

    /** Returns the session's bytes. They are a secret: whoever has them can speak as this client. */
    public synchronized byte[] session() throws SazukariException {
        checkOpen();
        ByteBuffer out = ByteBuffer.allocate((int) SazukariNative._szkrGetSessionDataSize());
        if (SazukariNative._szkrGetSessionData(context, out) != 0) {
            throw failure();
        }
        return out.array();
    }

    private void checkOpen() throws SazukariException {
        if (closed) {
            throw new SazukariException(ErrorCode.INVALID_STATE, "the connection is closed");
        }
    }

    /** Closes the connection. A message in flight fails. The session can still be resumed. */
    @Override
    public void close() {
        closeQuietly(socket); // first, without the lock that a message in flight holds
        synchronized (this) {
            if (!closed) {
                closed = true;
                release();
            }
        }
    }

    private void release() {
        SazukariNative._szkrDestroyCtx(context);
        SazukariNative._snRemoveSocket(socketHandle);
    }

    private static void closeQuietly(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            // It is of no use any more.
        }
    }
}
