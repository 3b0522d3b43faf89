package com.nmi.sazukari;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;

/**
 * The functions of libsazukari as they are in C. Programs use
 * {@link SazukariConnection}.
 *
 * <p>A buffer may be direct or not. What is read from it, or written to it, is
 * between its position and its limit; neither changes. Functions that return int
 * return 0, or a negative number on an error. A handle is not used again after
 * its context was destroyed: calls with it fail. All functions may be called from
 * any thread; calls with the same context take turns.
 */
public final class SazukariNative {
    static {
        System.loadLibrary("sazukarinative");
    }

    private static final int CHUNK = 16 * 1024;

    private static final Map<Integer, Socket> sockets = new HashMap<Integer, Socket>();
    private static int lastSocket;

    private SazukariNative() {}

    public static native int _szkrInitialize();

    /** Returns the handle of a new context, or a negative number. */
    public static native int _szkrNewContext(int sockHandle, ByteBuffer serverKey);

    public static native long _szkrGetSessionDataSize();

    public static native int _szkrGetSessionData(int ctxHandle, ByteBuffer out);

    public static native int _szkrResetContext(int ctxHandle);

    public static native int _szkrHandshake(int ctxHandle);

    /** Returns the number of an {@link ErrorCode}. */
    public static native int _szkrLastError(int ctxHandle);

    public static native int _szkrResume(int ctxHandle, ByteBuffer session);

    public static native int _szkrSendMessage(int ctxHandle, ByteBuffer message);

    /**
     * Returns a copy of the last response as a direct buffer, or null if there is
     * none. The buffer is Java's, and stays valid.
     */
    public static native ByteBuffer _szkrAccessResponseBuffer(int ctxHandle);

    /** Forgets the last response. */
    public static native void _szkrDestroyResponseBuffer(int ctxHandle);

    public static native void _szkrDestroyCtx(int ctxHandle);

    public static native void _szkrDestroy();

    /** Returns what was wrong in the last call, in words. */
    public static native String _szkrLastErrorDetail(int ctxHandle);

    /** Writes the 260 bytes of a public key in PEM to out. */
    public static native int _szkrKeyFromPem(ByteBuffer pem, ByteBuffer out);

    /** Returns how many contexts there are. */
    static native int _szkrCountContexts();

    /** Returns a handle for a socket, for {@link #_szkrNewContext}. */
    public static int _snAddSocket(Socket socket) {
        synchronized (sockets) {
            do {
                lastSocket = lastSocket == Integer.MAX_VALUE ? 1 : lastSocket + 1;
            } while (sockets.containsKey(lastSocket));
            sockets.put(lastSocket, socket);
            return lastSocket;
        }
    }

    /** Forgets a socket. It stays open. */
    public static void _snRemoveSocket(int sockHandle) {
        synchronized (sockets) {
            sockets.remove(sockHandle);
        }
    }

    static int countSockets() {
        synchronized (sockets) {
            return sockets.size();
        }
    }

    private static Socket socket(int sockHandle) throws IOException {
        synchronized (sockets) {
            Socket s = sockets.get(sockHandle);
            if (s == null) {
                throw new IOException("no such socket");
            }
            return s;
        }
    }

    /** Reads at least one byte and at most length; returns how many, or -1. */
    public static long _snSocketRead(int sockHandle, ByteBuffer buffer, long length) {
        try {
            InputStream in = socket(sockHandle).getInputStream();
            byte[] chunk = new byte[(int) Math.min(CHUNK, length)];
            int n = in.read(chunk);
            if (n > 0) {
                buffer.put(chunk, 0, n);
            }
            return n;
        } catch (IOException e) {
            return -1;
        }
    }

    /** Writes length bytes; returns length, or -1. */
    public static long _snSocketWrite(int sockHandle, ByteBuffer buffer, long length) {
        try {
            OutputStream out = socket(sockHandle).getOutputStream();
            byte[] packet = new byte[(int) length];
            buffer.get(packet);
            out.write(packet);
            out.flush();
            return length;
        } catch (IOException e) {
            return -1;
        }
    }

    // What the native side calls, since buffers have many kinds.

    private static byte[] copyFrom(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    private static boolean copyTo(ByteBuffer buffer, byte[] bytes) {
        if (buffer.isReadOnly() || buffer.remaining() < bytes.length) {
            return false;
        }
        buffer.duplicate().put(bytes);
        return true;
    }

    private static ByteBuffer newBuffer(byte[] bytes) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(bytes.length);
        buffer.duplicate().put(bytes);
        return buffer;
    }
}
