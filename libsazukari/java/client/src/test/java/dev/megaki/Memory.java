package dev.megaki;

import java.io.EOFException;
import java.io.IOException;

/** A transport whose other side is a test. */
class Memory implements Transport {
    byte[] in = {};
    int at;
    byte[] lastWritten;
    boolean closed;

    /** Makes bytes the next that are read, and the last. */
    void feed(byte[] bytes) {
        in = bytes;
        at = 0;
    }

    @Override
    public void allow(int millis) {}

    @Override
    public void read(byte[] p, int offset, int size) throws IOException {
        if (in.length - at < size) {
            at = in.length;
            throw new EOFException("the server closed the connection");
        }
        System.arraycopy(in, at, p, offset, size);
        at += size;
    }

    @Override
    public void write(byte[] p) throws IOException {
        lastWritten = p;
    }

    @Override
    public boolean isStale() {
        return false;
    }

    @Override
    public void close() {
        closed = true;
    }
}
