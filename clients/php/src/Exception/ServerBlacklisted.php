<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The server's key must not be used any more. */
final class ServerBlacklisted extends Refused
{
    protected const NUMBER = 10;
}
