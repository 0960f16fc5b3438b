use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const HEAD: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(75);

/// Time from now until the deadline passes.
async fn passes(deadline: &HttpDeadline) -> Duration {
    let began = Instant::now();
    deadline.passed().await;
    began.elapsed()
}

fn about(took: Duration, expected: Duration) {
    assert!(
        took >= expected && took < expected + Duration::from_millis(20),
        "{took:?}, not {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn f9_the_first_head_has_its_time_from_the_accept() {
    let deadline = HttpDeadline::new(HEAD, Some(IDLE));
    let (mut other, stream) = tokio::io::duplex(64);
    let mut stream = HttpStream::new(stream, None, deadline.clone());
    tokio::time::sleep(HEAD / 2).await;
    other.write_u8(b'G').await.unwrap();
    stream.read_u8().await.unwrap();
    about(passes(&deadline).await, HEAD / 2);
}

#[tokio::test(start_paused = true)]
async fn f9_an_idle_connection_stays_for_keep_alive_after_the_last_byte_of_an_answer() {
    let deadline = HttpDeadline::new(HEAD, Some(IDLE));
    let (_other, stream) = tokio::io::duplex(64);
    let mut stream = HttpStream::new(stream, None, deadline.clone());
    let under_way = deadline.request();
    tokio::time::timeout(IDLE * 10, deadline.passed())
        .await
        .expect_err("a poll may wait");
    drop(under_way);
    tokio::time::sleep(IDLE / 2).await;
    stream.write_all(b"the end of a long answer").await.unwrap();
    about(passes(&deadline).await, IDLE);
}

#[tokio::test(start_paused = true)]
async fn f9_an_answer_that_waits_for_its_reader_is_not_idle() {
    let (deadline, keep_alive) = (HttpDeadline::new(HEAD, Some(HEAD / 10)), HEAD / 10);
    let (mut other, stream) = tokio::io::duplex(64);
    let mut stream = HttpStream::new(stream, Some(HEAD), deadline.clone());
    drop(deadline.request());
    let writing = tokio::spawn(async move {
        stream.write_all(&[7; 640]).await.unwrap();
        stream
    });
    for _ in 0..9 {
        tokio::time::timeout(HEAD / 2, deadline.passed())
            .await
            .expect_err("it reads, slowly");
        other.read_exact(&mut [0; 64]).await.unwrap();
    }
    about(passes(&deadline).await, keep_alive);
    drop(writing.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn f9_a_zero_timeout_is_not_checked_in_a_busy_loop() {
    let deadline = HttpDeadline::new(HEAD, Some(Duration::ZERO));
    let under_way = deadline.request();
    let mut looks = 0;
    let looking = std::future::poll_fn({
        let mut passed = Box::pin(deadline.passed());
        move |cx| {
            looks += 1;
            assert!(looks < 1_000);
            passed.as_mut().poll(cx)
        }
    });
    tokio::time::timeout(Duration::from_secs(1), looking)
        .await
        .expect_err("a poll may wait");
    drop(under_way);
    about(passes(&deadline).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn f9_a_later_head_has_its_time_from_its_first_byte() {
    let deadline = HttpDeadline::new(HEAD, Some(IDLE));
    let (mut other, stream) = tokio::io::duplex(64);
    let mut stream = HttpStream::new(stream, None, deadline.clone());
    drop(deadline.request());
    let watching = tokio::spawn({
        let deadline = deadline.clone();
        async move { passes(&deadline).await }
    });
    tokio::time::sleep(IDLE - Duration::from_secs(5)).await;
    for _ in 0..3 {
        other.write_u8(b'G').await.unwrap();
        stream.read_u8().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    about(
        watching.await.unwrap(),
        IDLE - Duration::from_secs(5) + HEAD,
    );
}

#[tokio::test(start_paused = true)]
async fn f9_without_keep_alive_only_heads_have_a_limit() {
    let deadline = HttpDeadline::new(HEAD, None);
    drop(deadline.request());
    tokio::time::timeout(IDLE * 1_000, deadline.passed())
        .await
        .expect_err("idle for ever");
}

#[tokio::test(start_paused = true)]
async fn f8_a_client_that_is_still_sending_is_read_until_it_closes() {
    let deadline = HttpDeadline::new(HEAD, Some(IDLE));
    let (mut other, stream) = tokio::io::duplex(64);
    let mut stream = HttpStream::new(stream, None, deadline);
    let sending = tokio::spawn(async move {
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            other.write_all(&[7; 1_000]).await.unwrap();
        }
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        answer
    });
    stream.write_all(b"413").await.unwrap();
    let began = Instant::now();
    stream.shutdown().await.unwrap();
    about(began.elapsed(), Duration::from_secs(6));
    drop(stream);
    assert_eq!(sending.await.unwrap(), "413");
}

#[tokio::test(start_paused = true)]
async fn f8_a_client_that_says_nothing_or_never_ends_is_not_read_for_ever() {
    let deadline = HttpDeadline::new(HEAD, Some(IDLE));
    let (mut other, stream) = tokio::io::duplex(64);
    let mut stream = HttpStream::new(stream, None, deadline.clone());
    let began = Instant::now();
    stream.shutdown().await.unwrap();
    about(began.elapsed(), LINGER_QUIET);

    let (mut endless, stream) = tokio::io::duplex(64);
    let mut stream = HttpStream::new(stream, None, deadline);
    let trickling = tokio::spawn(async move {
        while endless.write_u8(7).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let began = Instant::now();
    stream.shutdown().await.unwrap();
    about(began.elapsed(), LINGER);
    drop(stream);
    trickling.await.unwrap();
    other.shutdown().await.unwrap();
}
