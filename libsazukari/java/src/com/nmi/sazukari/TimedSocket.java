package com.nmi.sazukari;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** A socket whose reads and writes have a time together. Whoever reads asks for the stream before each read. */
final class TimedSocket extends Socket {
    private static final ScheduledThreadPoolExecutor closer = newCloser();

    private final int millis; // 0: no limit
    private long end;

    TimedSocket(int millis) {
        this.millis = millis;
    }

    /** Connects to the first address that takes the connection. They share the time. */
    static TimedSocket connect(InetAddress[] addresses, int port, int millis) throws IOException {
        long end = System.nanoTime() + millis * 1000000L;
        for (int i = 0;; i++) {
            TimedSocket socket = new TimedSocket(millis);
            try {
                socket.setTcpNoDelay(true);
                // One that doesn't respond must not take it all.
                long share = (end - System.nanoTime()) / 1000000 / (addresses.length - i);
                socket.connect(new InetSocketAddress(addresses[i], port), millis > 0 ? (int) Math.max(share, 1) : 0);
                return socket;
            } catch (IOException e) {
                socket.closeQuietly();
                if (i == addresses.length - 1) {
                    throw e;
                }
            }
        }
    }

    private static ScheduledThreadPoolExecutor newCloser() {
        ScheduledThreadPoolExecutor e = new ScheduledThreadPoolExecutor(1, work -> {
            Thread t = new Thread(work, "sazukari-timeouts");
            t.setDaemon(true);
            return t;
        });
        e.setRemoveOnCancelPolicy(true);
        e.setKeepAliveTime(10, TimeUnit.SECONDS);
        e.allowCoreThreadTimeOut(true);
        return e;
    }

    /** Allows the reads and writes from now on the whole time. */
    void begin() {
        end = System.nanoTime() + millis * 1000000L;
    }

    @Override
    public InputStream getInputStream() throws IOException {
        if (millis > 0) {
            setSoTimeout((int) left());
        }
        return super.getInputStream();
    }

    private long left() throws SocketTimeoutException {
        long left = (end - System.nanoTime()) / 1000000;
        if (left <= 0) {
            throw new SocketTimeoutException("the server took longer than " + millis + " ms");
        }
        return left;
    }

    @Override
    public OutputStream getOutputStream() throws IOException {
        OutputStream out = super.getOutputStream();
        return millis > 0 ? new TimedOutput(out) : out;
    }

    /** Closes the socket when the time is over: a write that blocks has no other end. */
    private final class TimedOutput extends FilterOutputStream {
        TimedOutput(OutputStream out) {
            super(out);
        }

        @Override
        public void write(byte[] p, int at, int size) throws IOException {
            Future<?> closing = closer.schedule(TimedSocket.this::closeQuietly, left(), TimeUnit.MILLISECONDS);
            try {
                out.write(p, at, size);
            } finally {
                closing.cancel(false);
            }
        }
    }

    private void closeQuietly() {
        try {
            close();
        } catch (IOException e) {
            // It is of no use any more.
        }
    }

    /** Reports whether the peer has neither closed the connection nor sent anything that is unread. */
    boolean isQuiet() {
        try {
            setSoTimeout(1);
            super.getInputStream().read();
            return false;
        } catch (SocketTimeoutException e) {
            return true;
        } catch (IOException e) {
            return false;
        } finally {
            try {
                setSoTimeout(0);
            } catch (SocketException e) {
                // It is closed.
            }
        }
    }
}
