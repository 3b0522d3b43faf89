package dev.megaki;

import dev.megaki.MegakiException.Reason;
import java.io.Closeable;
import java.io.IOException;
import java.security.KeyPair;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * A client of a server of Megaki, over a pool of connections.
 *
 * <pre>
 * ServerKey key = ServerKey.read(new File("server.key.pub"));
 * try (MegakiClient client = MegakiClient.to("example.org", 6363, key).build()) {
 *     byte[] response = client.send("hello".getBytes("UTF-8"));
 *     HttpResponse page = client.request(HttpRequest.get("/index.php"));
 * }
 * </pre>
 *
 * <p>It connects when there is something to send, resumes a session when the
 * server has closed a connection, and does a handshake when the server has
 * forgotten it. A message that the server may have handled is never sent twice. It
 * is safe for use by several threads: each message in flight has a connection of
 * its own, up to the pool's limit, and others wait.
 */
public final class MegakiClient implements Closeable {
    private static final int MAX_FAILED_RESUMES = 3;

    private final Builder options;
    private final Semaphore slots;
    private final Object lock = new Object();
    private final Deque<Connection> idle = new ArrayDeque<Connection>(); // the last used first
    private final Deque<Session> saved = new ArrayDeque<Session>(); // sessions of no connection
    private final Set<Connection> all = new LinkedHashSet<Connection>();
    private boolean loaded;
    private boolean closed;
    private int failedResumes; // connections in a row that failed while they resumed
    private KeyPair key;
    private final Object keyLock = new Object();
    private final Object storeLock = new Object();

    private MegakiClient(Builder options) {
        this.options = options;
        slots = new Semaphore(options.maxConnections, true);
    }

    /** Begins to describe a client. */
    public static Builder to(String host, int port, ServerKey key) {
        return new Builder(host, port, key);
    }

    /** Describes a client. */
    public static final class Builder {
        private final String host;
        private final int port;
        private final ServerKey serverKey;
        private int maxConnections = 4;
        private int connectMillis = 10000;
        private int handshakeMillis = 15000;
        private int messageMillis = 60000;
        private int maxMessages = 16384;
        private SessionStore store;

        private Builder(String host, int port, ServerKey serverKey) {
            if (host == null || host.isEmpty() || port < 1 || port > 65535 || serverKey == null) {
                throw new IllegalArgumentException("a client needs a host, a port and a server's key");
            }
            this.host = host;
            this.port = port;
            this.serverKey = serverKey;
        }

        private static int atLeastOne(int n) {
            if (n < 1) {
                throw new IllegalArgumentException("the number must be positive");
            }
            return n;
        }

        /** Sets how many connections there may be at once. Default: 4. */
        public Builder maxConnections(int n) {
            maxConnections = atLeastOne(n);
            return this;
        }

        /** Bounds connecting. Default: 10 s. */
        public Builder connectTimeout(long n, TimeUnit unit) {
            connectMillis = millis(n, unit);
            return this;
        }

        /** Bounds a handshake or a resumption. Default: 15 s. */
        public Builder handshakeTimeout(long n, TimeUnit unit) {
            handshakeMillis = millis(n, unit);
            return this;
        }

        /** Bounds a message with its response. Default: 60 s. */
        public Builder messageTimeout(long n, TimeUnit unit) {
            messageMillis = millis(n, unit);
            return this;
        }

        /** Bounds the messages under one key, for each of which 16 bytes are remembered. Default: 16,384. */
        public Builder maxMessagesPerKey(int n) {
            maxMessages = Math.min(atLeastOne(n), 1 << 20);
            return this;
        }

        /** Keeps sessions over restarts of the program. Default: they end with the client. */
        public Builder sessions(SessionStore s) {
            store = s;
            return this;
        }

        private static int millis(long n, TimeUnit unit) {
            return atLeastOne((int) Math.min(Integer.MAX_VALUE, unit.toMillis(n)));
        }

        /** Makes the client. It doesn't connect yet. */
        public MegakiClient build() {
            return new MegakiClient(this);
        }
    }

    /**
     * Sends a message of 1 byte to 1 MiB, and returns the response, which may be empty.
     * It waits for a free connection first, without a limit.
     */
    public byte[] send(byte[] message) throws MegakiException {
        if (message.length == 0 || message.length > Packets.LIMIT) {
            throw new MegakiException(Reason.MESSAGE_SIZE, "a message has from 1 byte to 1 MiB, this one " + message.length + " bytes");
        }
        try {
            slots.acquire();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MegakiException(Reason.CLOSED, "the thread was interrupted", e);
        }
        try {
            Connection c = take();
            boolean done = false;
            try {
                byte[] response = c.roundTrip(message, options.messageMillis);
                done = true;
                return response;
            } finally {
                give(c, done);
            }
        } finally {
            slots.release();
        }
    }

    /** Sends an HTTP request in a message. Request and response have at most 1 MiB each. */
    public HttpResponse request(HttpRequest request) throws MegakiException {
        String host = options.host.indexOf(':') >= 0 ? "[" + options.host + "]" : options.host;
        byte[] response = send(request.toBytes(host + ":" + options.port));
        return HttpResponse.parse(response, request.method().equals("HEAD"));
    }

    /** Returns a connection to send a message on. */
    private Connection take() throws MegakiException {
        for (;;) {
            Connection c;
            synchronized (lock) {
                if (closed) {
                    throw new MegakiException(Reason.CLOSED, "the client is closed");
                }
                c = idle.pollFirst();
            }
            if (c == null) {
                return connect();
            }
            if (c.isUsable()) {
                return c;
            }
            drop(c);
        }
    }

    private void give(Connection c, boolean usable) {
        synchronized (lock) {
            if (usable && !closed) {
                idle.addFirst(c);
                return;
            }
        }
        drop(c);
    }

    /** Closes a connection. Its session can be resumed, unless the client is closed. */
    private void drop(Connection c) {
        c.close();
        synchronized (lock) {
            all.remove(c);
            if (c.session() != null) {
                saved.addFirst(c.session());
            }
            wipeIfClosed();
        }
    }

    /** Wipes the sessions of no connection, which nobody resumes any more. The lock is held. */
    private void wipeIfClosed() {
        if (closed) {
            for (Session s : saved) {
                s.wipe();
            }
            saved.clear();
        }
    }

    private Connection connect() throws MegakiException {
        load();
        Transport wire;
        try {
            wire = SocketTransport.connect(options.host, options.port, options.connectMillis);
        } catch (IOException e) {
            throw new MegakiException(Reason.IO, options.host + ":" + options.port + ": " + e.getMessage(), e);
        }
        Connection c = new Connection(wire, options.maxMessages);
        boolean begun = false;
        try {
            synchronized (lock) {
                if (closed) {
                    throw new MegakiException(Reason.CLOSED, "the client is closed");
                }
                all.add(c); // close() reaches it
            }
            begin(c);
            if (!c.isUsable()) {
                throw new MegakiException(Reason.IO, "the server closed the connection, or sent something out of turn");
            }
            begun = true;
        } finally {
            if (!begun) {
                drop(c);
            }
        }
        save();
        return c;
    }

    /** Resumes a session that no connection has, or does a handshake. */
    private void begin(Connection c) throws MegakiException {
        Session old;
        synchronized (lock) {
            if (failedResumes >= MAX_FAILED_RESUMES) {
                saved.clear();
                failedResumes = 0;
            }
            old = saved.pollFirst();
        }
        if (old != null) {
            boolean responded = false;
            try {
                boolean resumed = c.resume(old, options.handshakeMillis);
                responded = true;
                if (resumed) {
                    return;
                }
            } finally {
                synchronized (lock) {
                    failedResumes = responded ? 0 : failedResumes + 1;
                    if (responded) {
                        old.wipe(); // the session has another key now, or the server has forgotten it
                    } else {
                        saved.addLast(old); // it can be tried again
                    }
                }
            }
        }
        c.handshake(options.serverKey, ownKey(), options.handshakeMillis);
    }

    /** Makes the client's RSA key once, and not before a handshake needs it. */
    private KeyPair ownKey() {
        synchronized (keyLock) {
            if (key == null) {
                key = Crypto.newKey();
            }
            return key;
        }
    }

    private void load() throws MegakiException {
        if (options.store == null) {
            return;
        }
        synchronized (storeLock) {
            if (loaded) {
                return;
            }
            try {
                for (byte[] bytes : options.store.load()) {
                    Session s = Session.of(bytes);
                    if (s != null) {
                        synchronized (lock) {
                            saved.addLast(s);
                        }
                    }
                }
                loaded = true;
            } catch (IOException e) {
                throw new MegakiException(Reason.IO, "the saved sessions can't be read: " + e.getMessage(), e);
            }
        }
    }

    /** Saves all sessions: those of connections, too, in case the program ends before them. */
    private void save() throws MegakiException {
        if (options.store == null) {
            return;
        }
        synchronized (storeLock) {
            List<byte[]> sessions = new ArrayList<byte[]>();
            synchronized (lock) {
                if (closed) {
                    return; // those of closed connections are wiped, and still in the store
                }
                for (Connection c : all) {
                    if (c.session() != null && sessions.size() < options.maxConnections) {
                        sessions.add(c.session().toBytes());
                    }
                }
                for (Session s : saved) {
                    if (sessions.size() < options.maxConnections) {
                        sessions.add(s.toBytes());
                    }
                }
            }
            try {
                options.store.save(sessions);
            } catch (IOException e) {
                throw new MegakiException(Reason.IO, "the sessions can't be saved: " + e.getMessage(), e);
            }
        }
    }

    /** Closes all connections; messages in flight fail. The client can't be used any more. */
    @Override
    public void close() {
        List<Connection> quiet;
        List<Connection> open;
        synchronized (lock) {
            closed = true;
            quiet = new ArrayList<Connection>(idle);
            idle.clear();
            open = new ArrayList<Connection>(all);
            wipeIfClosed();
        }
        for (Connection c : open) {
            c.close();
        }
        for (Connection c : quiet) {
            drop(c); // whoever uses another one does
        }
    }

    /** The open connections, for tests. */
    List<Connection> connections() {
        synchronized (lock) {
            return new ArrayList<Connection>(all);
        }
    }
}
