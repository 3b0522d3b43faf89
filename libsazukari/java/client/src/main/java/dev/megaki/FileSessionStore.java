package dev.megaki;

import java.io.DataInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Keeps sessions in a file that only its owner may read. */
public final class FileSessionStore implements SessionStore {
    private static final int MOST = 1024;

    private final File file;

    public FileSessionStore(File file) {
        this.file = file;
    }

    @Override
    public List<byte[]> load() throws IOException {
        List<byte[]> sessions = new ArrayList<byte[]>();
        if (!file.exists()) {
            return sessions;
        }
        try (DataInputStream in = new DataInputStream(new FileInputStream(file))) {
            for (long n = Math.min(MOST, file.length() / Session.SIZE); n > 0; n--) {
                byte[] session = new byte[Session.SIZE];
                in.readFully(session);
                sessions.add(session);
            }
        }
        return sessions;
    }

    @Override
    public void save(List<byte[]> sessions) throws IOException {
        File fresh = new File(file.getPath() + ".new");
        fresh.delete();
        if (!fresh.createNewFile() || !fresh.setReadable(false, false) || !fresh.setReadable(true, true)
                || !fresh.setWritable(false, false) || !fresh.setWritable(true, true)) {
            throw new IOException(fresh + " can't be made");
        }
        try {
            write(sessions, fresh);
            // Windows renames to no file that exists.
            if (!fresh.renameTo(file) && !(file.delete() && fresh.renameTo(file))) {
                throw new IOException(file + " can't be replaced");
            }
        } finally {
            fresh.delete(); // there is none, unless something failed
        }
    }

    private static void write(List<byte[]> sessions, File to) throws IOException {
        try (FileOutputStream out = new FileOutputStream(to)) {
            for (byte[] session : sessions) {
                out.write(session);
            }
            out.getFD().sync();
        }
    }
}
