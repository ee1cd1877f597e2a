-- A receipt and its countersignature are a little more than 2 KB of base64url, which does not compress: at the usual
-- limit each one is tried, fails and goes to a second table with an index of its own.
ALTER TABLE "receipts" SET (toast_tuple_target = 8128);
