<?php
/**
 * How scripts for the old API are written, for comparison: it goes on working with another address, key and waid. What
 * send.php does better: utf8_encode() garbles a text that is UTF-8 already (Kabar repairs it) and is gone in PHP 9;
 * urlencode() is not needed in JSON (Kabar undoes it); it never repeats, and does not look at the answer.
 */
$url = getenv('KABAR_URL') . '/sms/api_whatsapp_send_json.php';
$data = array(
    'apikey' => getenv('KABAR_KEY'),
    'waid' => getenv('KABAR_WAID'),
    'datapacket' => array(),
);
array_push($data['datapacket'], array(
    'number' => $argv[1],
    'message' => urlencode(utf8_encode($argv[2])),
    'sendingdatetime' => '',
));
$curl = curl_init($url);
curl_setopt($curl, CURLOPT_CUSTOMREQUEST, 'POST');
curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($data));
curl_setopt($curl, CURLOPT_HTTPHEADER, array('Content-Type: application/json'));
curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
curl_setopt($curl, CURLOPT_TIMEOUT, 5);
echo curl_exec($curl), "\n";
