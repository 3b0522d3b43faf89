package com.nmi.sazukari;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;

/** A socket whose reads have a time together. Whoever reads asks for the stream before each read. */
final class TimedSocket extends Socket {
    private final int millis; // 0: no limit
    private long end;

    TimedSocket(int millis) {
        this.millis = millis;
    }

    /** Allows the reads from now on the whole time. */
    void begin() {
        end = System.nanoTime() + millis * 1000000L;
    }

    @Override
    public InputStream getInputStream() throws IOException {
        if (millis > 0) {
            long left = (end - System.nanoTime()) / 1000000;
            if (left <= 0) {
                throw new SocketTimeoutException("the server took longer than " + millis + " ms");
            }
            setSoTimeout((int) left);
        }
        return super.getInputStream();
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
