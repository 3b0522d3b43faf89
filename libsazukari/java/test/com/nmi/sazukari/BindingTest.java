package com.nmi.sazukari;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.After;
import org.junit.BeforeClass;
import org.junit.Test;

/** Runs the binding against a server that sends back what it gets, but for "empty". */
public class BindingTest {
    private static final int[] SIZES = {1, 15, 16, 17, 32, 100, 4016, 4017, 8192, 16384, 65537, 1000000, 1048575, 1048576};
    private static final int TIMEOUT = 60000;

    private static String host;
    private static int port;
    private static SazukariServerKey key;

    /** One session for tests that need no handshake, which takes an RSA key. */
    private static byte[] session;

    @BeforeClass
    public static void setUp() throws Exception {
        String[] address = System.getProperty("server").split(":");
        host = address[0];
        port = Integer.parseInt(address[1]);
        key = SazukariServerKey.read(new File(System.getProperty("key")));
        try (SazukariConnection c = connect(null)) {
            assertFalse(c.isResumed());
            session = c.session();
        }
    }

    @After
    public void nothingIsLeft() {
        assertEquals(0, SazukariNative._szkrCountContexts());
        assertEquals(0, SazukariNative.countSockets());
    }

    private static SazukariConnection connect(byte[] session) throws SazukariException {
        return SazukariConnection.connect(host, port, key, session, TIMEOUT);
    }

    /** Connects with the shared session, and saves what becomes of it. */
    private static synchronized SazukariConnection resumed() throws SazukariException {
        SazukariConnection c = connect(session);
        assertTrue(c.isResumed());
        c.send(new byte[] {1}); // makes the new key the current one
        session = c.session();
        return c;
    }

    private static byte[] message(int size) {
        byte[] b = new byte[size];
        for (int i = 0; i < size; i++) {
            b[i] = (byte) (i * 31 + i / 251 + size);
        }
        return b;
    }

    @Test
    public void errorsHaveTheNumbersOfC() {
        for (int i = 0; i <= 12; i++) {
            assertEquals(i, ErrorCode.of(i).number());
            assertEquals(i, ErrorCode.values()[i].number());
        }
        assertEquals(ErrorCode.HANDSHAKE_NEEDED, ErrorCode.of(9));
        assertEquals(ErrorCode.RESPONSE_TOO_LONG, ErrorCode.of(12));
        assertEquals(ErrorCode.UNKNOWN, ErrorCode.of(13));
        assertEquals(ErrorCode.UNKNOWN, ErrorCode.of(-1));
    }

    @Test
    public void messagesOfAllSizesComeBack() throws Exception {
        try (SazukariConnection c = resumed()) {
            for (int size : SIZES) {
                assertArrayEquals(message(size), c.send(message(size)));
            }
            assertArrayEquals(new byte[0], c.send("empty".getBytes("US-ASCII")));
        }
    }

    @Test
    public void whatIsTooLongOrEmptyIsNotSent() throws Exception {
        try (SazukariConnection c = resumed()) {
            try {
                c.send(new byte[1048577]);
                fail();
            } catch (SazukariException e) {
                assertEquals(ErrorCode.MESSAGE_TOO_LONG, e.getCode());
            }
            try {
                c.send(new byte[0]);
                fail();
            } catch (SazukariException e) {
                assertEquals(ErrorCode.INVALID_STATE, e.getCode());
            }
            assertArrayEquals(message(9), c.send(message(9)));
        }
    }

    @Test
    public void aSessionIsResumedOrReplaced() throws Exception {
        byte[] before = session;
        try (SazukariConnection c = resumed()) {
            assertArrayEquals(Arrays.copyOf(before, 16), Arrays.copyOf(c.session(), 16));
            assertFalse(Arrays.equals(before, c.session()));
        }
        resumed().close();
        byte[] unknown = session.clone();
        unknown[0] ^= 1;
        try (SazukariConnection c = connect(unknown)) {
            assertFalse(c.isResumed());
            assertArrayEquals(message(5), c.send(message(5)));
        }
        try {
            connect(new byte[47]);
            fail();
        } catch (SazukariException e) {
            assertEquals(ErrorCode.INVALID_STATE, e.getCode());
        }
    }

    @Test
    public void keysHaveTwoForms() throws Exception {
        SazukariServerKey again = new SazukariServerKey(key.toBytes());
        assertArrayEquals(key.toBytes(), again.toBytes());
        assertEquals(SazukariServerKey.SIZE, key.toBytes().length);
        for (byte[] wrong : new byte[][] {new byte[0], new byte[48], new byte[260], "rubbish".getBytes("US-ASCII")}) {
            try {
                new SazukariServerKey(wrong);
                fail();
            } catch (IllegalArgumentException e) {
                assertTrue(e.getMessage().contains("2048"));
            }
        }
    }

    /** The reference took a buffer's capacity for its limit. */
    @Test
    public void buffersAreReadFromPositionToLimit() throws Exception {
        try (Socket socket = new Socket(host, port)) {
            int s = SazukariNative._snAddSocket(socket);
            ByteBuffer keyBuffer = ByteBuffer.allocateDirect(300);
            keyBuffer.position(7);
            keyBuffer.put(key.toBytes());
            keyBuffer.flip().position(7);
            int c = SazukariNative._szkrNewContext(s, keyBuffer);
            assertTrue(c >= 0);
            assertEquals(7, keyBuffer.position());
            synchronized (BindingTest.class) {
                ByteBuffer old = ByteBuffer.allocate(100);
                old.position(3);
                old.put(session).flip().position(3);
                assertEquals(0, SazukariNative._szkrResume(c, old));
                for (ByteBuffer m : new ByteBuffer[] {ByteBuffer.allocate(64), ByteBuffer.allocateDirect(64)}) {
                    m.put(message(64));
                    m.position(10).limit(30);
                    assertEquals(0, SazukariNative._szkrSendMessage(c, m));
                    ByteBuffer response = SazukariNative._szkrAccessResponseBuffer(c);
                    SazukariNative._szkrDestroyResponseBuffer(c);
                    assertNull(SazukariNative._szkrAccessResponseBuffer(c));
                    assertTrue(response.isDirect());
                    byte[] got = new byte[response.remaining()]; // it is still valid
                    response.get(got);
                    assertArrayEquals(Arrays.copyOfRange(message(64), 10, 30), got);
                }
                ByteBuffer out = ByteBuffer.allocateDirect(60);
                out.position(12);
                assertEquals(0, SazukariNative._szkrGetSessionData(c, out));
                assertEquals(12, out.position());
                byte[] saved = new byte[48];
                out.get(saved);
                session = saved;
                out.position(13);
                assertTrue(SazukariNative._szkrGetSessionData(c, out) < 0); // 47 bytes
                assertTrue(SazukariNative._szkrGetSessionData(c, ByteBuffer.allocate(48).asReadOnlyBuffer()) < 0);
                assertTrue(SazukariNative._szkrGetSessionData(c, null) < 0);
            }
            assertTrue(SazukariNative._szkrSendMessage(c, null) < 0);
            assertEquals(ErrorCode.INVALID_STATE.number(), SazukariNative._szkrLastError(c));
            assertTrue(SazukariNative._szkrResume(c, ByteBuffer.allocate(47)) < 0);
            assertTrue(SazukariNative._szkrResume(c, null) < 0);
            SazukariNative._szkrDestroyCtx(c);
            SazukariNative._snRemoveSocket(s);
        }
        assertTrue(SazukariNative._szkrNewContext(1, null) < 0);
        assertTrue(SazukariNative._szkrNewContext(1, ByteBuffer.allocate(48)) < 0);
        assertTrue(SazukariNative._szkrNewContext(1, ByteBuffer.allocate(260)) < 0); // a key of zeros
    }

    /** The reference had 128 handles a process, and used none again. */
    @Test
    public void handlesOfDestroyedContextsAreDead() {
        List<Integer> handles = new ArrayList<Integer>();
        for (int i = 0; i < 1000; i++) {
            int c = SazukariNative._szkrNewContext(-1, ByteBuffer.wrap(key.toBytes()));
            assertTrue(c >= 0);
            handles.add(c);
        }
        assertEquals(1000, SazukariNative._szkrCountContexts());
        for (int c : handles) {
            SazukariNative._szkrDestroyCtx(c);
            SazukariNative._szkrDestroyCtx(c);
        }
        for (int i = 0; i < 1000; i++) { // in the same slots
            int c = SazukariNative._szkrNewContext(-1, ByteBuffer.wrap(key.toBytes()));
            assertFalse(handles.contains(c));
            SazukariNative._szkrDestroyCtx(c);
        }
        int dead = handles.get(0);
        for (int c : new int[] {dead, -1, 0, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
            assertTrue(SazukariNative._szkrHandshake(c) < 0);
            assertTrue(SazukariNative._szkrResetContext(c) < 0);
            assertTrue(SazukariNative._szkrResume(c, ByteBuffer.allocate(48)) < 0);
            assertTrue(SazukariNative._szkrSendMessage(c, ByteBuffer.allocate(1)) < 0);
            assertTrue(SazukariNative._szkrGetSessionData(c, ByteBuffer.allocate(48)) < 0);
            assertEquals(ErrorCode.INVALID_STATE.number(), SazukariNative._szkrLastError(c));
            assertNotNull(SazukariNative._szkrLastErrorDetail(c));
            assertNull(SazukariNative._szkrAccessResponseBuffer(c));
            SazukariNative._szkrDestroyResponseBuffer(c);
            SazukariNative._szkrDestroyCtx(c);
        }
    }

    private static long residentBytes() throws IOException {
        String[] fields = new String(Files.readAllBytes(Paths.get("/proc/self/statm")), "US-ASCII").split(" ");
        return Long.parseLong(fields[1]) * 4096;
    }

    /** 1,000 connections, of which the first warm up. */
    @Test
    public void connectionsLeaveNothing() throws Exception {
        long before = 0;
        byte[] big = message(200000);
        for (int i = 0; i < 1000; i++) {
            if (i == 300) {
                System.gc();
                before = residentBytes();
            }
            try (SazukariConnection c = resumed()) {
                assertEquals(big.length, c.send(big).length);
            }
        }
        System.gc();
        long grown = residentBytes() - before;
        System.out.println("700 connections with 200 kB each: memory grew by " + grown / 1024 + " KiB");
        assertTrue("memory grew by " + grown, grown < 50 << 20); // a response each would be 140 MB
    }

    private static void inThreads(int n, Callable<Void> work) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(n);
        List<Future<Void>> all = new ArrayList<Future<Void>>();
        for (int i = 0; i < n; i++) {
            all.add(pool.submit(work));
        }
        for (Future<Void> f : all) {
            f.get();
        }
        pool.shutdown();
    }

    @Test
    public void eightThreadsHaveAConnectionEach() throws Exception {
        inThreads(8, new Callable<Void>() {
            @Override
            public Void call() throws Exception {
                try (SazukariConnection c = connect(null)) {
                    for (int i = 1; i < 100; i++) {
                        assertArrayEquals(message(i * 37), c.send(message(i * 37)));
                    }
                }
                return null;
            }
        });
    }

    /** The reference kept the JNIEnv of the thread that made the context. */
    @Test
    public void eightThreadsShareAConnection() throws Exception {
        try (SazukariConnection c = resumed()) {
            inThreads(8, new Callable<Void>() {
                @Override
                public Void call() throws Exception {
                    for (int i = 1; i < 50; i++) {
                        assertArrayEquals(message(i * 37), c.send(message(i * 37)));
                    }
                    return null;
                }
            });
        }
    }

    @Test
    public void aClosedConnectionSaysSo() throws Exception {
        SazukariConnection c = resumed();
        c.close();
        c.close();
        try {
            c.send(message(1));
            fail();
        } catch (SazukariException e) {
            assertEquals(ErrorCode.INVALID_STATE, e.getCode());
        }
    }

    @Test
    @SuppressWarnings("try") // an explicit close
    public void aContextIsDestroyedWhileItIsInUse() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                Socket socket = new Socket(silent.getInetAddress(), silent.getLocalPort());
                Socket accepted = silent.accept()) {
            int s = SazukariNative._snAddSocket(socket);
            int c = SazukariNative._szkrNewContext(s, ByteBuffer.wrap(key.toBytes()));
            CountDownLatch done = new CountDownLatch(1);
            int[] result = new int[1];
            Thread t = new Thread() {
                @Override
                public void run() {
                    result[0] = SazukariNative._szkrResume(c, ByteBuffer.allocate(48));
                    done.countDown();
                }
            };
            t.start();
            assertNotEquals(-1, accepted.getInputStream().read()); // the thread is in the call
            SazukariNative._szkrDestroyCtx(c);
            assertEquals(0, SazukariNative._szkrCountContexts());
            assertTrue(SazukariNative._szkrResetContext(c) < 0);
            socket.close();
            done.await();
            assertTrue(result[0] < 0);
            SazukariNative._snRemoveSocket(s);
        }
    }

    @Test
    public void aSilentServerTimesOut() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            try {
                SazukariConnection.connect(silent.getInetAddress().getHostAddress(), silent.getLocalPort(), key, new byte[48], 200);
                fail();
            } catch (SazukariException e) {
                assertEquals(ErrorCode.IO, e.getCode());
            }
        }
    }

    /** A server that doesn't read blocks a write, which the timeout of a socket isn't about. */
    @Test(timeout = 30000)
    public void aServerThatDoesNotReadTimesOut() throws Exception {
        try (ServerSocket server = new ServerSocket()) {
            server.setReceiveBufferSize(4096);
            server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            try (TimedSocket socket = new TimedSocket(200)) {
                socket.setSendBufferSize(4096);
                socket.connect(server.getLocalSocketAddress());
                int s = SazukariNative._snAddSocket(socket);
                socket.begin();
                assertEquals(-1, SazukariNative._snSocketWrite(s, ByteBuffer.wrap(message(1 << 20)), 1 << 20));
                assertTrue(socket.isClosed());
                SazukariNative._snRemoveSocket(s);
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
            TimedSocket.connect(addresses, server.getLocalPort(), 1000).close();
            server.accept().close();
        } finally {
            for (SocketChannel c : waiting) {
                c.close();
            }
        }
    }

    @Test
    public void aRefusedConnectionSaysWhere() throws Exception {
        int unused;
        try (ServerSocket s = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            unused = s.getLocalPort();
        }
        try {
            SazukariConnection.connect("127.0.0.1", unused, key, null, TIMEOUT);
            fail();
        } catch (SazukariException e) {
            assertEquals(ErrorCode.IO, e.getCode());
            assertTrue(e.getMessage().contains("127.0.0.1:" + unused));
        }
    }
}
