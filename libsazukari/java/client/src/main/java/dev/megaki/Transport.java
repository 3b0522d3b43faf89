package dev.megaki;

import java.io.Closeable;
import java.io.IOException;

/** A stream of bytes with a deadline. */
interface Transport extends Closeable {
    /** Allows so much time for what follows. */
    void allow(int millis);

    /** Reads exactly size bytes. */
    void read(byte[] p, int at, int size) throws IOException;

    void write(byte[] p) throws IOException;

    /** Reports whether the peer has closed the connection, or sent what nobody waits for. */
    boolean isStale();

    @Override
    void close();
}
