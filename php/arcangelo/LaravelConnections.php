<?php

declare(strict_types=1);

namespace arca;

use Illuminate\Database\Connection;
use Illuminate\Database\DatabaseManager;

/**
 * Keeps the connections of Laravel to databases open from request to request.
 *
 * @internal
 */
final class LaravelConnections
{
    /** @var list<array{Connection, string}> connections, with the part of the names of their methods: Pdo or ReadPdo */
    private array $connections = [];
    /** @var array<int, ?\PDO> what is open */
    private array $open = [];

    /** Makes all configured connections, none of which is opened. */
    public function __construct(DatabaseManager $manager)
    {
        foreach (array_keys(config('database.connections', [])) as $name) {
            try {
                $connection = $manager->connection($name);
            } catch (\Throwable) {
                continue; // its driver is missing, which the application may not need
            }
            $this->keep($connection, 'Pdo');
            $this->keep($connection, 'ReadPdo');
        }
    }

    private function keep(Connection $connection, string $part): void
    {
        $connect = $connection->{"getRaw$part"}();
        if (!$connect instanceof \Closure) {
            return; // not a PDO, or open already
        }
        $i = count($this->connections);
        $this->connections[] = [$connection, $part];
        $connection->{"set$part"}(fn () => $this->open[$i] ??= $connect());
    }

    /**
     * Ends the transactions of a request, and forgets connections that it has closed,
     * or replaced since they were lost.
     */
    public function release(): void
    {
        foreach ($this->connections as $i => [$connection, $part]) {
            $pdo = $this->open[$i] ?? null;
            $now = $connection->{"getRaw$part"}();
            try {
                if ($pdo?->inTransaction()) {
                    $pdo->rollBack();
                }
            } catch (\PDOException) {
                $now = null;
            }
            if ($now !== $pdo && !$now instanceof \Closure) {
                $this->open[$i] = null;
            }
        }
    }
}
