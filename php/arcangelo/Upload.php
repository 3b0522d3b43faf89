<?php

declare(strict_types=1);

namespace arca;

/** A file of a form. It is removed after the request, unless it was moved. */
final class Upload
{
    public function __construct(
        /** The name without folders, as the client gave it. It can be anything. */
        public readonly string $name,
        /** The name as the client gave it. */
        public readonly string $fullPath = '',
        /** The media type, as the client gave it. */
        public readonly string $type = '',
        /** The path of the file; '' if there is an error. */
        public readonly string $path = '',
        /** UPLOAD_ERR_OK or another UPLOAD_ERR_ constant of PHP. */
        public readonly int $error = UPLOAD_ERR_OK,
        /** In bytes. */
        public readonly int $size = 0,
    ) {
    }

    /** Whether there is a file. */
    public function isOk(): bool
    {
        return $this->error === UPLOAD_ERR_OK;
    }

    /**
     * Moves the file to a path, and replaces a file there, as move_uploaded_file does
     * elsewhere.
     *
     * @throws \RuntimeException if there is no file, or it can't be moved
     */
    public function moveTo(string $path): void
    {
        if (!$this->isOk()) {
            throw new \RuntimeException("there is no file for '{$this->name}': error {$this->error}");
        }
        if (!@rename($this->path, $path)) {
            throw new \RuntimeException("can't move the file to $path: " . (error_get_last()['message'] ?? 'it is gone'));
        }
        @chmod($path, 0666 & ~umask());
    }

    /** Returns the bytes of the file. */
    public function contents(): string
    {
        $bytes = $this->isOk() ? file_get_contents($this->path) : false;
        if ($bytes === false) {
            throw new \RuntimeException("there is no file for '{$this->name}', or it was moved");
        }
        return $bytes;
    }
}
