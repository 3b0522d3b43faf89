package dev.megaki;

import java.io.IOException;
import java.util.List;

/**
 * Keeps sessions while a program doesn't run, so that it can resume them. A
 * session is 48 bytes, and a secret. A store is for one client at a time, which
 * calls it from any thread, one call after the other.
 */
public interface SessionStore {
    /** Returns the sessions that were saved last; none if there are none. */
    List<byte[]> load() throws IOException;

    /** Saves the sessions in the place of those that were saved before. */
    void save(List<byte[]> sessions) throws IOException;
}
