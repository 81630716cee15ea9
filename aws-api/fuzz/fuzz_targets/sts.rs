#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| aws_api_fuzz::operations::sts(body));
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    aws_api_fuzz::mutator::mutate(data, size, max_size, seed)
});
