<?php

declare(strict_types=1);

namespace arca;

/**
 * Ends a handler that flushes what it prints to a client that has left.
 *
 * @internal
 */
final class ClientGone extends \Error
{
    public function __construct()
    {
        parent::__construct('the client has left');
    }
}
