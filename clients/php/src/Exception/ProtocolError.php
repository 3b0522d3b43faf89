<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The server sent something that the protocol doesn't allow, or isn't the pinned one. */
final class ProtocolError extends MegakiException
{
    protected const NUMBER = 6;
}
