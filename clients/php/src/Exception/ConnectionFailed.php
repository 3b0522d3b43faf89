<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The connection failed, was closed, or took too long. */
class ConnectionFailed extends MegakiException
{
    protected const NUMBER = 8;
}
