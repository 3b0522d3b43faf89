<?php

declare(strict_types=1);

namespace Megaki;

use Megaki\Exception\MessageTooLong;

/**
 * A client of one server.
 *
 * It connects when there is something to send, resumes the session when the server has
 * closed the connection, and does a handshake when the server has forgotten the session.
 * A message that the server may have handled is never sent twice.
 */
final class Client
{
    private const MAX_FAILED_RESUMES = 3;

    private readonly string $hostHeader;
    private ?\OpenSSLAsymmetricKey $ownKey = null;
    private ?Connection $connection = null;
    private int $failedResumes = 0;

    /**
     * @param string|null $session a session of 48 bytes to resume
     * @param string|null $sessionFile a file to keep the session in, and to resume it from; it is a secret
     * @param string|null $hostHeader the Host of requests; null: host and port of the server
     * @param float $connectTimeout seconds to connect
     * @param float $handshakeTimeout seconds for a handshake or a resumption
     * @param float $messageTimeout seconds for a message with its response
     * @param int $maxMessagesPerKey messages under one key, for each of which some bytes are remembered
     */
    public function __construct(
        private readonly string $host,
        private readonly int $port,
        private readonly ServerKey $key,
        private ?string $session = null,
        private readonly ?string $sessionFile = null,
        ?string $hostHeader = null,
        private readonly float $connectTimeout = 10,
        private readonly float $handshakeTimeout = 15,
        private readonly float $messageTimeout = 60,
        private readonly int $maxMessagesPerKey = 16384,
    ) {
        $this->hostHeader = $hostHeader ?? (str_contains($host, ':') ? "[$host]:$port" : "$host:$port");
        if ($session === null && $sessionFile !== null && is_file($sessionFile)) {
            $this->session = file_get_contents($sessionFile) ?: null;
        }
        if ($this->session !== null && strlen($this->session) !== 48) {
            throw new \InvalidArgumentException('a session has 48 bytes, not ' . strlen($this->session));
        }
    }

    public function __destruct()
    {
        $this->close();
    }

    /** Returns the session's 48 bytes, to resume it later; null if there is none yet. They are a secret. */
    public function session(): ?string
    {
        return $this->session;
    }

    /** Sends a message of 1 byte to 1 MiB, and returns the response, which may be empty. */
    public function send(string $message): string
    {
        if ($message === '') {
            throw new \InvalidArgumentException('a message has at least one byte');
        }
        if (strlen($message) > Packets::LIMIT) {
            throw new MessageTooLong('a message of ' . strlen($message) . ' bytes, over the limit of ' . Packets::LIMIT);
        }
        $connection = $this->usable();
        $done = false;
        try {
            $response = $connection->send($message, $this->messageTimeout);
            $done = true;
        } finally {
            if (!$done) {
                $this->close();
            }
        }
        return $response;
    }

    /**
     * Sends an HTTP request in a message. Request and response have at most 1 MiB each.
     *
     * @param array<string, string|list<string>> $headers
     */
    public function request(string $method, string $path, array $headers = [], string $body = ''): Response
    {
        return Response::parse($this->send(Request::write($method, $path, $this->hostHeader, $headers, $body)), $method);
    }

    /** Closes the connection. The client can be used again. */
    public function close(): void
    {
        $this->connection?->close();
        $this->connection = null;
    }

    private function usable(): Connection
    {
        $c = $this->connection;
        if ($c !== null && ($c->roundTrips() >= $this->maxMessagesPerKey || !$c->isUsable())) {
            $this->close();
        }
        return $this->connection ??= $this->connect();
    }

    private function connect(): Connection
    {
        $c = new Connection($this->host, $this->port, $this->connectTimeout);
        $begun = false;
        try {
            if (!$this->resume($c)) {
                $this->ownKey ??= self::newKey();
                $c->handshake($this->key, $this->ownKey, $this->handshakeTimeout);
                $this->failedResumes = 0;
            }
            $this->save($c->session());
            $begun = true;
        } finally {
            if (!$begun) {
                $c->close();
            }
        }
        return $c;
    }

    private function resume(Connection $c): bool
    {
        if ($this->session === null || $this->failedResumes >= self::MAX_FAILED_RESUMES) {
            return false;
        }
        $this->failedResumes++;
        $resumed = $c->resume($this->session, $this->handshakeTimeout);
        $this->failedResumes = 0;
        return $resumed;
    }

    private static function newKey(): \OpenSSLAsymmetricKey
    {
        $key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_RSA, 'private_key_bits' => 2048]);
        if ($key === false) {
            throw new \RuntimeException("making the client's key: " . openssl_error_string());
        }
        return $key;
    }

    private function save(string $session): void
    {
        $this->session = $session;
        if ($this->sessionFile === null) {
            return;
        }
        error_clear_last();
        $fresh = @tempnam(dirname($this->sessionFile), '.megaki-'); // mode 0600
        if ($fresh !== false && @file_put_contents($fresh, $session) === 48 && @rename($fresh, $this->sessionFile)) {
            return;
        }
        $reason = error_get_last()['message'] ?? 'a short write';
        if ($fresh !== false) {
            @unlink($fresh); // tempnam may have made it elsewhere, if the folder can't be written
        }
        throw new \RuntimeException("the session file $this->sessionFile can't be written: $reason");
    }
}
