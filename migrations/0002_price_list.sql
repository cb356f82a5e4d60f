-- The price list of 1 March 2022 (00:00 WIB). A new price is a new row with a later start.

INSERT INTO plans (code, name, quota) VALUES
  ('A', 'Paket A', 6000),
  ('B', 'Paket B', 12000),
  ('C', 'Paket C', NULL);

INSERT INTO tariffs (item, starts_ms, price_rupiah) VALUES
  ('plan:A', 1646067600000, 99000),
  ('plan:B', 1646067600000, 159000),
  ('plan:C', 1646067600000, 389000),
  ('message', 1646067600000, 200);
