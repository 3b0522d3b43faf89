<?php

// The front controller: what is neither a file nor another script comes here.

require __DIR__ . '/../lib/page.php';

session_start();
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

switch ("$_SERVER[REQUEST_METHOD] $path") {
    case 'GET /':
        $visits = $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
        setcookie('seen', 'yes', ['httponly' => true, 'secure' => isset($_SERVER['HTTPS']), 'samesite' => 'Lax']);
        page('Guest book', "<p>Visit $visits of $_SERVER[REMOTE_ADDR].</p>\n<pre>" . htmlspecialchars(implode("\n", $_SESSION['entries'] ?? [])) . '</pre>
<form method="post" action="/sign"><input name="name"><button>Sign</button></form>
<form method="post" action="/upload" enctype="multipart/form-data"><input type="file" name="file"><button>Upload</button></form>');

    case 'POST /sign':
        $_SESSION['entries'][] = $_POST['name'] ?? '';
        header('Location: /', response_code: 303);
        exit;

    case 'POST /upload':
        $file = $_FILES['file'] ?? null;
        if ($file === null || $file['error'] !== UPLOAD_ERR_OK) {
            http_response_code(400);
            page('No file', '<p>The upload failed.</p>');
        }
        // A name of our own: the client's could be anything.
        $name = hash_file('sha256', $file['tmp_name']) . '.bin';
        move_uploaded_file($file['tmp_name'], __DIR__ . "/../uploads/$name");
        header("Location: /uploads/$name", response_code: 303);
        exit;

    case 'GET /member':
        // A file that not everybody may have: mkd sends it in the script's place.
        if (($_COOKIE['seen'] ?? '') !== 'yes') {
            http_response_code(403);
            page('Members only', '<p>Visit the guest book first.</p>');
        }
        header('X-Accel-Redirect: /protected/letter.txt');
        header('Content-Disposition: attachment; filename="letter.txt"');
        exit;
}

http_response_code(404);
page('Not found', '<p>Nothing is at ' . htmlspecialchars($path) . '</p>');
