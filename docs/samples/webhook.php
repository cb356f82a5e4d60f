<?php
/**
 * Receives both kinds of form post, the inbox's and the tracking's, without extract(): only the documented keys are
 * read, and nothing is believed before its signature is checked. Answer within a few seconds: store first, work later.
 *
 *   KABAR_WEBHOOK_SECRET=whsec_...   the secret shown when the webhook was made
 */
declare(strict_types=1);

const OLDEST_SECONDS = 300;

function is_signed(string $secret, string $body): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $time = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $key = base64_decode(str_replace('whsec_', '', $secret), true);
    if ($key === false || $key === '' || abs(time() - (int) $time) > OLDEST_SECONDS) {
        return false;
    }
    $wanted = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$time.$body", $key, true));
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $signature) {
        if (hash_equals($wanted, $signature)) {
            return true;
        }
    }
    return false;
}

function field(string $name): string
{
    $value = $_POST[$name] ?? '';
    return is_string($value) ? $value : '';
}

if (!is_signed((string) getenv('KABAR_WEBHOOK_SECRET'), (string) file_get_contents('php://input'))) {
    http_response_code(401);
    exit;
}

// The same post may come twice; its webhook-id is the same then.
$entry = ['event' => $_SERVER['HTTP_WEBHOOK_ID'], 'waid' => field('waid'), 'number' => field('number')];
$entry += isset($_POST['status'])
    ? ['id' => field('id'), 'status' => field('status')]
    : ['message' => field('message')];
$line = json_encode($entry, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE) . "\n";
// A failed write is answered 500, and the post comes again.
$kept = file_put_contents(__DIR__ . '/webhook.log', $line, FILE_APPEND | LOCK_EX);
http_response_code($kept === false ? 500 : 204);
