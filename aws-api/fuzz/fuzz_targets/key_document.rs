#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| aws_api_fuzz::keys::document(body));
