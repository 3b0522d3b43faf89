<?php

declare(strict_types=1);

namespace Megaki\Exception;

/** The message is over 1 MiB. Nothing was sent. */
final class MessageTooLong extends MegakiException
{
    protected const NUMBER = 11;
}
