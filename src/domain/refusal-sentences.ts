/**
 * Every refusal as a sentence for the customer's developer, in Indonesian and English: what was wrong and what to do.
 * Exhaustive over the failure unions: a new reason does not compile until it has both sentences. Quotes no input.
 */
import type { MessageFailure, RequestFailure } from "./failure.ts";

export interface Sentence {
  id: string;
  en: string;
}

/** What the request log knows beyond the failures: said by the wire itself, or told to the key's owner only. */
type LoggedOnly =
  | "account_suspended"
  | "body_too_large"
  | "json_malformed"
  | "key_revoked"
  | "rate_limited"
  | "system_error"
  | "too_many_unknown_keys";

type Reason = RequestFailure["reason"] | MessageFailure["reason"] | LoggedOnly;

const SENTENCES: Record<Reason, Sentence> = {
  body_malformed: {
    id: "Isi permintaan tidak seperti yang didokumentasikan. Kirim dengan POST sebuah objek JSON dengan kolom yang diminta, paling besar 64 KB.",
    en: "The body is not as documented. POST one JSON object with the fields asked for, 64 KB at most.",
  },
  json_malformed: {
    id: "Isi permintaan bukan JSON dalam UTF-8, terlalu dalam bersarang, atau satu objeknya punya lebih dari 200 kolom.",
    en: "The body is not JSON in UTF-8, is nested too deeply, or has an object of more than 200 fields.",
  },
  body_too_large: {
    id: "Isi permintaan lebih dari 64 KB.",
    en: "The body is longer than 64 KB.",
  },
  key_unknown: {
    id: "API key tidak dikenal. Salin lagi seutuhnya: 32 karakter, 0-9 dan a-f.",
    en: "The API key is unknown. Copy all of it again: 32 characters, 0-9 and a-f.",
  },
  key_revoked: {
    id: "API key ini sudah dicabut atau masa berlakunya habis. Pakai key yang baru.",
    en: "This API key was revoked or has expired. Use the new one.",
  },
  account_suspended: {
    id: "Akun ditangguhkan atau ditutup. Hubungi penyedia layanan.",
    en: "The account is suspended or closed. Write to the operator.",
  },
  device_unknown: {
    id: "Akun ini tidak punya perangkat (waid) itu. Periksa lagi waid-nya.",
    en: "This account has no such device (waid). Look the waid up again.",
  },
  address_not_allowed: {
    id: "Alamat IP pengirim tidak ada dalam daftar key ini. Tambahkan alamat itu, atau izinkan semua alamat.",
    en: "The caller's IP address is not on this key's list. Add it, or allow any address.",
  },
  endpoint_unknown: {
    id: "Akun ini tidak punya webhook itu. Periksa lagi id-nya.",
    en: "This account has no such endpoint. Look its id up again.",
  },
  too_many_endpoints: {
    id: "Jumlah webhook sudah penuh. Hapus yang tidak dipakai.",
    en: "The account has as many endpoints as it may have. Delete one that is not in use.",
  },
  url_refused: {
    id: "Alamat webhook ini tidak boleh dipakai. Pakai alamat publik dengan https.",
    en: "A webhook may not have this address. Use a public one with https.",
  },
  test_key_refused: {
    id: "Key percobaan hanya boleh mengirim percobaan dan membaca. Pakai key biasa.",
    en: "A test key may only send tests and read. Use a live key.",
  },
  rate_limited: {
    id: "Terlalu banyak permintaan dengan key ini. Tunggu sebentar, lalu coba lagi.",
    en: "This key sends too many requests. Wait a little, then try again.",
  },
  too_many_unknown_keys: {
    id: "Terlalu banyak API key tak dikenal dari alamat ini. Tunggu sebentar, lalu coba lagi.",
    en: "Too many unknown API keys came from this address. Wait a little, then try again.",
  },
  balance_expired: {
    id: "Masa berlaku saldo sudah lewat, atau saldo belum pernah diisi. Isi saldo untuk mengirim lagi.",
    en: "The balance has expired, or was never topped up. Top up to send again.",
  },
  package_expired: {
    id: "Paket perangkat ini sudah berakhir atau belum ada. Perpanjang paketnya.",
    en: "The device's package is over, or there is none. Renew it.",
  },
  too_many_messages: {
    id: "Lebih dari 5 pesan dalam satu permintaan: tidak satu pun diterima. Bagi menjadi beberapa permintaan.",
    en: "More than 5 messages in one request: none was accepted. Split them over several requests.",
  },
  balance_check_too_soon: {
    id: "Saldo sudah ditanyakan kurang dari 15 menit yang lalu. Simpan jawabannya dan tanya lagi nanti.",
    en: "The balance was asked for less than 15 minutes ago. Keep the answer and ask again later.",
  },
  message_unknown: {
    id: "Akun ini tidak punya pesan dengan id itu.",
    en: "This account has no message with that id.",
  },
  message_not_waiting: {
    id: "Pesan itu tidak lagi menunggu: sudah diserahkan ke WhatsApp atau sudah berakhir.",
    en: "The message does not wait any more: it was handed to WhatsApp or has ended.",
  },
  device_already_paired: {
    id: "Perangkat sudah terhubung. Putuskan dulu hubungannya.",
    en: "The device is paired. Unpair it first.",
  },
  device_not_paired: {
    id: "Perangkat belum terhubung ke WhatsApp. Pindai QR-nya.",
    en: "The device is not paired. Scan the QR.",
  },
  device_not_paused: {
    id: "Perangkat tidak sedang dijeda.",
    en: "The device is not paused.",
  },
  too_many_devices: {
    id: "Akun ini sudah punya perangkat sebanyak yang diizinkan.",
    en: "The account has as many devices as it may have.",
  },
  too_many_keys: {
    id: "Akun ini sudah punya, atau hari ini sudah membuat, API key sebanyak yang diizinkan. Cabut yang tidak dipakai.",
    en: "The account has, or made within a day, as many API keys as it may. Revoke those not in use.",
  },
  api_key_unknown: {
    id: "Akun ini tidak punya API key dengan nomor itu.",
    en: "This account has no API key with that number.",
  },
  idempotency_key_reused: {
    id: "Idempotency-Key ini sudah dipakai untuk isi yang lain. Pakai yang baru untuk setiap pesan.",
    en: "This Idempotency-Key was used with another body. Draw a new one for each message.",
  },
  request_unknown: {
    id: "Log akun ini tidak berisi permintaan dengan id itu; log disimpan 7 hari.",
    en: "The account's log has no request with that id; it is kept for 7 days.",
  },
  address_not_refused: {
    id: "Permintaan itu tidak ditolak karena alamatnya, jadi tidak ada alamat untuk ditambahkan.",
    en: "That request was not refused for its address, so there is no address to allow.",
  },
  route_unknown: {
    id: "Tidak ada apa-apa di alamat (URL) itu.",
    en: "There is nothing at that URL.",
  },
  number_invalid: {
    id: "Nomor bukan nomor ponsel yang bisa ada. Tulis 62812…, 0812… atau +62812…; telepon rumah tidak diterima.",
    en: "The number cannot be a mobile number. Write 62812…, 0812… or +62812…; landlines are not taken.",
  },
  text_invalid: {
    id: "Isi pesan tidak ada, atau panjangnya bukan 10 sampai 1.000 karakter.",
    en: "The text is missing, or is not 10 to 1,000 characters long.",
  },
  time_invalid: {
    id: "Waktu kirim tidak mungkin, atau lebih dari 366 hari ke depan. Tulis yyyy-mm-dd hh:mm:ss.",
    en: "The sending time is impossible, or more than 366 days ahead. Write yyyy-mm-dd hh:mm:ss.",
  },
  recipient_opted_out: {
    id: "Penerima sudah minta tidak dikirimi pesan lagi.",
    en: "The recipient has asked for no more messages.",
  },
  balance_short: {
    id: "Saldo tidak cukup untuk harga pesan ini. Isi saldo.",
    en: "The balance does not reach for this message. Top up.",
  },
  quota_used_up: {
    id: "Kuota pesan paket bulan ini sudah habis.",
    en: "The package's messages of this month are used up.",
  },
  device_unavailable: {
    id: "Perangkat tidak terhubung ke WhatsApp. Pindai QR lagi.",
    en: "The device is not connected to WhatsApp. Scan the QR again.",
  },
  queue_too_long: {
    id: "Antrean perangkat begitu panjang sehingga pesan ini tidak akan sempat terkirim. Kirim lebih pelan.",
    en: "So much waits at this device that the message could not leave in time. Send more slowly.",
  },
  account_restricted: {
    id: "WhatsApp melarang nomor ini memulai percakapan baru lebih lama daripada umur pesan ini. Nomor yang sudah pernah dihubungi tetap bisa.",
    en: "WhatsApp lets this phone start no new chats for longer than this message lives. Numbers it has a chat with still work.",
  },
  system_unavailable: {
    id: "Sebagian layanan sedang tidak menjawab. Coba lagi; tidak ada yang ditagih.",
    en: "A part of the service does not answer. Try again; nothing was charged.",
  },
  system_error: {
    id: "Ada yang gagal di pihak kami. Sebutkan id permintaan bila terulang.",
    en: "Something failed on our side. Name the request id if it happens again.",
  },
};

const BY_REASON: ReadonlyMap<string, Sentence> = new Map(Object.entries(SENTENCES));

/** Null for a reason of an older release. */
export function refusalSentence(reason: string): Sentence | null {
  return BY_REASON.get(reason) ?? null;
}
