package dev.megaki;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import dev.megaki.MegakiException.Reason;
import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.Assume;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/**
 * The client against a server that sends back what it gets: -Dserver=HOST:PORT and
 * -Dkey=FILE name it. Without them, as when Maven runs, these tests are left out.
 */
public class ClientTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private String host;
    private int port;
    private ServerKey key;

    @Before
    public void setUp() throws Exception {
        Assume.assumeTrue("no server is named", System.getProperty("server") != null);
        String[] address = System.getProperty("server").split(":");
        host = address[0];
        port = Integer.parseInt(address[1]);
        key = ServerKey.read(new File(System.getProperty("key")));
    }

    private static byte[] message(int size) {
        byte[] b = new byte[size];
        for (int i = 0; i < size; i++) {
            b[i] = (byte) (i * 31 + i / 251 + size);
        }
        return b;
    }

    private static byte[] text(String s) throws Exception {
        return s.getBytes("US-ASCII");
    }

    @Test
    public void messagesOfAllSizesComeBack() throws Exception {
        try (MegakiClient client = MegakiClient.to(host, port, key).build()) {
            for (int size : new int[] {1, 15, 16, 17, 100, 4016, 4017, 8192, 65537, 1000000, 1048576}) {
                assertArrayEquals(message(size), client.send(message(size)));
            }
            assertEquals(0, client.send(text("empty")).length);
            for (int size : new int[] {0, 1048577}) {
                try {
                    client.send(new byte[size]);
                    fail();
                } catch (MegakiException e) {
                    assertEquals(Reason.MESSAGE_SIZE, e.getReason());
                    assertFalse(e.mayHaveArrived());
                }
            }
        }
    }

    @Test
    public void httpRequestsGetResponses() throws Exception {
        try (MegakiClient client = MegakiClient.to(host, port, key).build()) {
            HttpResponse r = client.request(HttpRequest.get("/hello?a=b").header("X-Test", "1"));
            assertEquals(200, r.status());
            assertTrue(r.header("content-type").startsWith("text/plain"));
            assertTrue(new String(r.body(), "UTF-8").startsWith("GET /hello?a=b 0 "));
            r = client.request(HttpRequest.post("/p", "text/plain", new byte[1000]));
            assertTrue(new String(r.body(), "UTF-8").startsWith("POST /p 1000 "));
            assertEquals(0, client.request(new HttpRequest("HEAD", "/")).body().length);
        }
    }

    /** A token of the session is the same before and after; the key isn't. */
    @Test
    public void sessionsOutliveTheClient() throws Exception {
        File file = new File(folder.getRoot(), "sessions");
        List<String> tokens = new ArrayList<String>();
        byte[] before = null;
        for (int i = 0; i < 3; i++) {
            try (MegakiClient client = MegakiClient.to(host, port, key).sessions(new FileSessionStore(file)).build()) {
                String body = new String(client.request(HttpRequest.get("/")).body(), "UTF-8").trim();
                tokens.add(body.substring(body.lastIndexOf(' ') + 1));
            }
            byte[] saved = Files.readAllBytes(file.toPath());
            assertEquals(Session.SIZE, saved.length);
            assertFalse(Arrays.equals(before, saved));
            before = saved;
        }
        assertEquals(32, tokens.get(0).length());
        assertEquals(Collections.nCopies(3, tokens.get(0)), tokens);
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file.toPath())));

        before[0] ^= 1; // a session that the server doesn't know
        Files.write(file.toPath(), before);
        try (MegakiClient client = MegakiClient.to(host, port, key).sessions(new FileSessionStore(file)).build()) {
            assertArrayEquals(message(10), client.send(message(10)));
        }
    }

    @Test
    public void closingWipesKeys() throws Exception {
        File file = new File(folder.getRoot(), "sessions");
        MegakiClient client = MegakiClient.to(host, port, key).sessions(new FileSessionStore(file)).build();
        client.send(message(1));
        Session session = client.connections().get(0).session();
        assertFalse(Arrays.equals(new byte[Packets.KEY], session.key));
        byte[] stored = Files.readAllBytes(file.toPath());
        assertArrayEquals(session.toBytes(), stored);
        client.close();
        assertArrayEquals(new byte[Packets.KEY], session.key);
        assertArrayEquals(stored, Files.readAllBytes(file.toPath()));
    }

    @Test
    public void resumingWipesTheOldKey() throws Exception {
        try (MegakiClient client = MegakiClient.to(host, port, key).maxMessagesPerKey(1).build()) {
            client.send(message(1));
            Session old = client.connections().get(0).session();
            client.send(message(2));
            Session now = client.connections().get(0).session();
            assertArrayEquals(old.token, now.token); // resumed
            assertArrayEquals(new byte[Packets.KEY], old.key);
            assertFalse(Arrays.equals(new byte[Packets.KEY], now.key));
        }
    }

    /** Sessions are secrets: no copy of them stays where their file can't be replaced. */
    @Test
    public void aFileThatCannotBeReplacedLeavesNoCopy() throws Exception {
        File file = new File(folder.getRoot(), "sessions");
        assertTrue(new File(file, "a folder, and not empty").mkdirs());
        try {
            new FileSessionStore(file).save(Collections.singletonList(new byte[Session.SIZE]));
            fail();
        } catch (IOException e) {
            assertTrue(e.getMessage().contains("can't be replaced"));
        }
        assertArrayEquals(new String[] {"sessions"}, folder.getRoot().list());
    }

    @Test
    public void threadsShareThePool() throws Exception {
        try (MegakiClient client = MegakiClient.to(host, port, key).maxConnections(3).build()) {
            ExecutorService pool = Executors.newFixedThreadPool(8);
            List<Future<Void>> all = new ArrayList<Future<Void>>();
            for (int t = 0; t < 8; t++) {
                all.add(pool.submit(new Callable<Void>() {
                    @Override
                    public Void call() throws Exception {
                        for (int i = 1; i < 100; i++) {
                            assertArrayEquals(message(i * 37), client.send(message(i * 37)));
                        }
                        return null;
                    }
                }));
            }
            for (Future<Void> f : all) {
                f.get();
            }
            pool.shutdown();
        }
    }

    private static int openFiles() {
        return new File("/proc/self/fd").list().length;
    }

    /** 1,000 clients, one after the other, with one session. */
    @Test
    public void connectionsLeaveNothing() throws Exception {
        List<byte[]> kept = new ArrayList<byte[]>();
        SessionStore store = new SessionStore() {
            @Override
            public List<byte[]> load() {
                return new ArrayList<byte[]>(kept);
            }

            @Override
            public void save(List<byte[]> sessions) {
                kept.clear();
                kept.addAll(sessions);
            }
        };
        int before = 0;
        for (int i = 0; i < 1000; i++) {
            try (MegakiClient client = MegakiClient.to(host, port, key).sessions(store).build()) {
                assertArrayEquals(message(100), client.send(message(100)));
            }
            assertEquals(1, kept.size());
            if (i == 10) {
                before = openFiles();
            }
        }
        assertTrue(before + " files were open, and now " + openFiles(), openFiles() <= before + 5);
    }

    /** After so many messages the key is used up, and the session is resumed. */
    @Test
    public void aUsedUpKeyIsReplaced() throws Exception {
        try (MegakiClient client = MegakiClient.to(host, port, key).maxMessagesPerKey(2).build()) {
            String first = null;
            for (int i = 0; i < 7; i++) {
                String body = new String(client.request(HttpRequest.get("/")).body(), "UTF-8").trim();
                String token = body.substring(body.lastIndexOf(' '));
                assertTrue(first == null || first.equals(token));
                first = token;
            }
        }
    }

    /** A proxy that can cut its connections. */
    private final class Proxy implements Closeable {
        final ServerSocket listener = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
        final List<Socket> sockets = Collections.synchronizedList(new ArrayList<Socket>());
        volatile int accepted;

        Proxy() throws Exception {
            new Thread(() -> {
                try {
                    for (;;) {
                        Socket client = listener.accept();
                        Socket server = new Socket(host, port);
                        accepted++;
                        sockets.add(client);
                        sockets.add(server);
                        pump(client, server);
                        pump(server, client);
                    }
                } catch (Exception e) {
                    // closed
                }
            }).start();
        }

        private void pump(Socket from, Socket to) {
            new Thread(() -> {
                byte[] b = new byte[8192];
                try {
                    InputStream in = from.getInputStream();
                    OutputStream out = to.getOutputStream();
                    for (int n = in.read(b); n > 0; n = in.read(b)) {
                        out.write(b, 0, n);
                    }
                } catch (Exception e) {
                    // cut
                }
                cut(from);
                cut(to);
            }).start();
        }

        void cut(Socket s) {
            try {
                s.close();
            } catch (Exception e) {
                // closed before
            }
        }

        void cutAll() {
            synchronized (sockets) {
                for (Socket s : sockets) {
                    cut(s);
                }
                sockets.clear();
            }
        }

        @Override
        public void close() throws IOException {
            listener.close();
            cutAll();
        }
    }

    @Test
    public void aConnectionThatWasCutIsReplacedAndItsSessionResumed() throws Exception {
        try (Proxy proxy = new Proxy();
                MegakiClient client = MegakiClient.to("127.0.0.1", proxy.listener.getLocalPort(), key).build()) {
            String first = null;
            for (int i = 0; i < 4; i++) {
                String body = new String(client.request(HttpRequest.get("/")).body(), "UTF-8").trim();
                String token = body.substring(body.lastIndexOf(' '));
                assertTrue(first == null || first.equals(token));
                first = token;
                proxy.cutAll();
                Thread.sleep(500); // a thread of the proxy that reads closes the socket
            }
            assertEquals(4, proxy.accepted);
        }
    }

    @Test
    public void aSilentServerTimesOut() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                MegakiClient client = MegakiClient.to("127.0.0.1", silent.getLocalPort(), key)
                        .handshakeTimeout(200, TimeUnit.MILLISECONDS).build()) {
            client.send(message(1));
            fail();
        } catch (MegakiException e) {
            assertEquals(Reason.IO, e.getReason());
            assertFalse(e.mayHaveArrived());
            assertTrue(e.getMessage(), e.getMessage().contains("too long"));
        }
    }

    @Test
    @SuppressWarnings("try") // an explicit close
    public void closingEndsAMessageInFlight() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            MegakiClient client = MegakiClient.to("127.0.0.1", silent.getLocalPort(), key).build();
            CountDownLatch done = new CountDownLatch(1);
            Reason[] reason = new Reason[1];
            new Thread(() -> {
                try {
                    client.send(message(1));
                } catch (MegakiException e) {
                    reason[0] = e.getReason();
                }
                done.countDown();
            }).start();
            try (Socket accepted = silent.accept()) {
                assertTrue(accepted.getInputStream().read() >= 0); // the SYN is there
                client.close();
                assertTrue(done.await(10, TimeUnit.SECONDS));
                assertEquals(Reason.IO, reason[0]);
            }
            try {
                client.send(message(1));
                fail();
            } catch (MegakiException e) {
                assertEquals(Reason.CLOSED, e.getReason());
            }
        }
    }

    /** The first address refuses connections, the second doesn't respond. */
    @Test
    public void theNextAddressIsTried() throws Exception {
        InetAddress[] addresses = {InetAddress.getByName("127.0.0.2"), InetAddress.getByName("127.0.0.3"), InetAddress.getByName("127.0.0.1")};
        List<SocketChannel> waiting = new ArrayList<SocketChannel>();
        try (ServerSocket server = new ServerSocket(0, 10, addresses[2]);
                ServerSocket silent = new ServerSocket(server.getLocalPort(), 1, addresses[1])) {
            for (int i = 0; i < 16; i++) {
                SocketChannel c = SocketChannel.open();
                c.configureBlocking(false);
                c.connect(silent.getLocalSocketAddress());
                waiting.add(c);
            }
            SocketTransport.connect(addresses, server.getLocalPort(), 1000).close();
            server.accept().close();
            try {
                SocketTransport.connect(new InetAddress[] {addresses[0], addresses[1]}, server.getLocalPort(), 100);
                fail();
            } catch (SocketTimeoutException e) {
                assertEquals("the server took too long", e.getMessage());
            }
        } finally {
            for (SocketChannel c : waiting) {
                c.close();
            }
        }
    }

    @Test
    public void anotherKeyFails() throws Exception {
        byte[] bytes = new byte[260];
        ServerKey.fill(((java.security.interfaces.RSAPublicKey) Crypto.newKey().getPublic()).getModulus(), bytes, 0, 256);
        bytes[257] = 1;
        bytes[259] = 1;
        try (MegakiClient client = MegakiClient.to(host, port, ServerKey.of(bytes)).build()) {
            client.send(message(1));
            fail();
        } catch (MegakiException e) {
            assertEquals(Reason.IO, e.getReason()); // mkd closes
            assertFalse(e.mayHaveArrived());
        }
    }
}
