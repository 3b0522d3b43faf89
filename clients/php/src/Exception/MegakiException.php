<?php

declare(strict_types=1);

namespace Megaki\Exception;

/**
 * A failure of a connection to a server of Megaki. getCode() is the number that libsazukari
 * has for it.
 */
abstract class MegakiException extends \RuntimeException
{
    protected const NUMBER = 1;

    private bool $sent = false;

    public function __construct(string $message, ?\Throwable $previous = null)
    {
        parent::__construct($message, static::NUMBER, $previous);
    }

    /**
     * Reports whether the server may have handled the message. If not, it can be sent again
     * without harm.
     */
    public function mayHaveArrived(): bool
    {
        return $this->sent;
    }

    /** @internal */
    public function sent(): static
    {
        $this->sent = true;
        return $this;
    }
}
