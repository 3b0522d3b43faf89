<?php

declare(strict_types=1);

namespace Megaki;

use Megaki\Exception\ConnectionFailed;
use Megaki\Exception\MegakiException;
use Megaki\Exception\ProtocolError;
use Megaki\Exception\Timeout;

/**
 * One connection, with a session on it. After any failure it can't be used any more.
 *
 * @internal
 */
final class Connection
{
    /** @var resource */
    private $stream;
    private float $deadline = 0;
    private string $token = '';
    private string $key = '';
    private Seen $seen;
    private int $roundTrips = 0;

    public function __construct(string $host, int $port, float $timeout)
    {
        $address = str_contains($host, ':') ? "tcp://[$host]:$port" : "tcp://$host:$port";
        $context = stream_context_create(['socket' => ['tcp_nodelay' => true]]);
        $this->allow($timeout);
        $stream = @stream_socket_client($address, $code, $message, $timeout, STREAM_CLIENT_CONNECT, $context);
        if ($stream === false && $this->left() < 0.001) { // PHP waits whole milliseconds
            throw new Timeout("$host:$port: connecting took longer than $timeout s");
        }
        if ($stream === false) {
            throw new ConnectionFailed("$host:$port: $message");
        }
        stream_set_blocking($stream, false);
        stream_set_read_buffer($stream, 0);
        $this->stream = $stream;
        $this->seen = new Seen();
    }

    public function close(): void
    {
        fclose($this->stream);
    }

    /** Returns token and master key: 48 bytes. */
    public function session(): string
    {
        return $this->token . $this->key;
    }

    public function roundTrips(): int
    {
        return $this->roundTrips;
    }

    /** Reports whether the server has neither closed the connection nor sent anything out of turn. */
    public function isUsable(): bool
    {
        $read = [$this->stream];
        $write = $except = null;
        return @stream_select($read, $write, $except, 0) === 0;
    }

    /** Makes a new session. */
    public function handshake(ServerKey $server, \OpenSSLAsymmetricKey $own, float $timeout): void
    {
        $this->allow($timeout);
        [$ephemeral, $client] = [random_bytes(32), random_bytes(32)];
        $this->write(Packets::sealSyn($server, $own, $ephemeral));
        [$token, $symmetric] = Packets::openSynAck($this->read(Packets::SYN_ACK), $ephemeral, $own);
        $this->write(Packets::sealAck($token, $symmetric, $client, $ephemeral));
        $this->read(Packets::ACK_ACK);
        $this->begin($token, Packets::derive($symmetric, $client));
    }

    /** Resumes a session. It returns false if the server asks for a handshake on this connection. */
    public function resume(string $session, float $timeout): bool
    {
        $this->allow($timeout);
        [$token, $key, $augment] = [substr($session, 0, 16), substr($session, 16), random_bytes(32)];
        $this->write(Packets::seal(Packets::RSTOR, $key, $token, $augment));
        $response = $this->read(Packets::RSTOR_ACK, Packets::REQ_REHS);
        if (ord($response[5]) === Packets::REQ_REHS) {
            return false;
        }
        $mid = Packets::derive($key, $augment);
        $this->begin($token, Packets::derive($mid, Packets::unseal($mid, $response)));
        return true;
    }

    /** Sends a message and returns the response. */
    public function send(string $message, float $timeout): string
    {
        $this->allow($timeout);
        $this->roundTrips++;
        $packet = Packets::seal(Packets::MSG, $this->key, $this->token, $message);
        $this->seen->add($packet);
        try {
            $this->write($packet);
            $response = $this->read(Packets::MSG);
            $plain = Packets::unseal($this->key, $response);
            if (!$this->seen->add($response)) {
                throw new ProtocolError('a packet that was sent before, in the place of the response');
            }
        } catch (MegakiException $e) {
            throw $e->sent();
        }
        return $plain;
    }

    private function begin(string $token, string $key): void
    {
        [$this->token, $this->key, $this->seen, $this->roundTrips] = [$token, $key, new Seen(), 0];
        if (!$this->isUsable()) {
            throw new ConnectionFailed('the server closed the connection, or sent something out of turn');
        }
    }

    private function allow(float $seconds): void
    {
        $this->deadline = self::now() + $seconds;
    }

    private function left(): float
    {
        return $this->deadline - self::now();
    }

    /** Returns seconds of a clock that nobody sets. */
    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }

    /** Waits until the stream can be read, or written. */
    private function wait(bool $toWrite): void
    {
        do {
            $left = $this->left();
            if ($left <= 0) {
                throw new Timeout('the server took too long');
            }
            $read = $toWrite ? null : [$this->stream];
            $write = $toWrite ? [$this->stream] : null;
            $except = null;
            $micros = (int) ($left * 1e6) + 1;
            $ready = @stream_select($read, $write, $except, intdiv($micros, 1_000_000), $micros % 1_000_000);
        } while ($ready === 0 || $ready === false); // false: a signal
    }

    private function write(string $packet): void
    {
        while ($packet !== '') {
            $this->wait(true);
            $n = @fwrite($this->stream, $packet);
            if ($n === false || $n === 0) {
                throw new ConnectionFailed('the connection failed while a packet was written');
            }
            $packet = substr($packet, $n);
        }
    }

    /** Reads a packet of one of the types. It is judged as soon as its header is there. */
    private function read(int ...$due): string
    {
        $packet = '';
        for ($size = 0, $wanted = 6; strlen($packet) !== $size || $size === 0;) {
            $this->wait(false);
            $part = @fread($this->stream, min($wanted - strlen($packet), 65536));
            if ($part === false || $part === '') {
                throw new ConnectionFailed('the server closed the connection');
            }
            $packet .= $part;
            if ($size === 0) {
                $size = Packets::frameSize($packet, array_values($due));
                $wanted = $size ?: (strlen($packet) < 6 ? 6 : 10);
            }
        }
        return $packet;
    }
}
