<?php

declare(strict_types=1);

namespace Megaki\Tests;

use Megaki\Connection;
use Megaki\Exception\Timeout;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/autoload.php';
require_once __DIR__ . '/clock.php';

/** The deadlines of a connection, with servers that do nothing. */
final class DeadlineTest extends TestCase
{
    /** @return array{resource, string, int} a server that accepts nothing, its host and its port */
    private function silentServer(int $backlog): array
    {
        $context = stream_context_create(['socket' => ['backlog' => $backlog]]);
        $server = stream_socket_server('tcp://127.0.0.1:0', $code, $message, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
        [$host, $port] = explode(':', stream_socket_get_name($server, false));
        return [$server, $host, (int) $port];
    }

    public function testConnectingTakesTooLong(): void
    {
        [$server, $host, $port] = $this->silentServer(0);
        $full = array_map(static fn () => @stream_socket_client("tcp://$host:$port", $code, $message, 0.05), range(1, 4));
        $this->expectException(Timeout::class);
        $this->expectExceptionMessage("$host:$port: connecting took longer than 0.2 s");
        new Connection($host, $port, 0.2);
    }

    public function testAServerTakesTooLong(): void
    {
        [$server, $host, $port] = $this->silentServer(8);
        $c = new Connection($host, $port, 5);
        $this->expectException(Timeout::class);
        $c->resume(str_repeat("\1", 48), 0.1);
    }

    /** Someone sets the clock of the machine while the client waits. */
    public function testTheClockIsSet(): void
    {
        [$server, $host, $port] = $this->silentServer(8);
        $c = new Connection($host, $port, 5);
        $accepted = stream_socket_accept($server);
        fwrite($accepted, "MGK\xAA\xCA\x07");
        $this->assertFalse($c->resume(str_repeat("\1", 48), 5)); // the server responds in time
    }
}
