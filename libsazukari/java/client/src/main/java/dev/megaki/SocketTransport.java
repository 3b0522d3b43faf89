package dev.megaki;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.concurrent.TimeUnit;

/** A TCP connection. It is non-blocking, so that reading and writing have deadlines. */
final class SocketTransport implements Transport {
    private final SocketChannel channel;
    private final Selector selector;
    private final SelectionKey key;
    private long deadline;

    /** Connects to the first address of a host that takes the connection. They share the time. */
    static SocketTransport connect(String host, int port, int millis) throws IOException {
        InetAddress[] addresses;
        try {
            addresses = InetAddress.getAllByName(host);
        } catch (UnknownHostException e) {
            throw new IOException("the server's name has no address", e);
        }
        return connect(addresses, port, millis);
    }

    static SocketTransport connect(InetAddress[] addresses, int port, int millis) throws IOException {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
        for (int i = 0;; i++) {
            long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            try {
                // One that doesn't respond must not take it all.
                return new SocketTransport(new InetSocketAddress(addresses[i], port), (int) (left / (addresses.length - i)));
            } catch (IOException e) {
                if (i == addresses.length - 1 || Thread.currentThread().isInterrupted()) {
                    throw e;
                }
            }
        }
    }

    private SocketTransport(InetSocketAddress address, int millis) throws IOException {
        channel = SocketChannel.open();
        boolean done = false;
        Selector opened = null;
        try {
            opened = Selector.open();
            selector = opened;
            channel.configureBlocking(false);
            channel.socket().setTcpNoDelay(true);
            key = channel.register(selector, 0);
            allow(millis);
            if (!channel.connect(address)) {
                do {
                    await(SelectionKey.OP_CONNECT);
                } while (!channel.finishConnect());
            }
            done = true;
        } finally {
            if (!done) {
                channel.close();
                if (opened != null) {
                    opened.close();
                }
            }
        }
    }

    @Override
    public void allow(int millis) {
        deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    }

    private void await(int operation) throws IOException {
        long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
        if (left <= 0) {
            throw new SocketTimeoutException("the server took too long");
        }
        try {
            key.interestOps(operation);
            selector.select(left);
            selector.selectedKeys().clear();
        } catch (ClosedSelectorException | CancelledKeyException e) {
            throw new IOException("the connection was closed here", e);
        }
        if (Thread.interrupted()) {
            Thread.currentThread().interrupt();
            throw new IOException("the thread was interrupted");
        }
    }

    @Override
    public void read(byte[] p, int at, int size) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(p, at, size);
        while (buffer.hasRemaining()) {
            int n = channel.read(buffer);
            if (n < 0) {
                throw new EOFException("the server closed the connection");
            }
            if (n == 0) {
                await(SelectionKey.OP_READ);
            }
        }
    }

    @Override
    public void write(byte[] p) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(p);
        while (buffer.hasRemaining()) {
            if (channel.write(buffer) == 0) {
                await(SelectionKey.OP_WRITE);
            }
        }
    }

    @Override
    public boolean isStale() {
        try {
            return channel.read(ByteBuffer.allocate(1)) != 0;
        } catch (IOException e) {
            return true;
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
            selector.close();
        } catch (IOException e) {
            // It is of no use any more.
        }
    }
}
