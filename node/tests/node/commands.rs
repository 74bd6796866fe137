//! What clients can say, through every node and both protocols, and what they are told.

use crate::cluster::Cluster;
use redis::{RedisError, Value, cmd, pipe};

const CAS: &str = "if redis.call('GET',KEYS[1])==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2]) \
                   return 1 else return 0 end";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_serves_both_protocols() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::started(3).await;
    for writer in 0..3 {
        let (key, value) = (format!("k{writer}"), format!("v{writer}"));
        cluster.put(writer, &key, &value).await?;
        let mut redis = cluster.redis(writer).await;
        let _: () = cmd("SET")
            .arg(&key)
            .arg(&value)
            .query_async(&mut redis)
            .await?;
        for reader in 0..3 {
            assert_eq!(cluster.get(reader, &key).await?.as_ref(), Some(&value));
            let mut redis = cluster.redis(reader).await;
            let got: String = cmd("GET").arg(&key).query_async(&mut redis).await?;
            assert_eq!(got, value);
        }
    }
    // RawKV and Redis keys are different keys.
    assert_eq!(cluster.get(0, "only-raw").await?, None);
    cluster.put(0, "only-raw", "").await?;
    assert_eq!(cluster.get(1, "only-raw").await?, Some(String::new()));
    let mut redis = cluster.redis(1).await;
    let none: Option<String> = cmd("GET").arg("only-raw").query_async(&mut redis).await?;
    assert_eq!(none, None);
    let mut kv = cluster.kv(2).await;
    let delete = elastickv_wire::RawDeleteRequest {
        key: "only-raw".into(),
    };
    assert!(kv.raw_delete(delete).await?.into_inner().success);
    assert_eq!(cluster.get(0, "only-raw").await?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_commands_answer_as_redis_does() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::started(3).await;
    let mut c = cluster.redis(0).await;
    let c = &mut c;
    macro_rules! redis {
        ($($word:expr),+ => $type:ty) => {
            redis::Cmd::new()$(.arg($word))+.query_async::<$type>(c).await
        };
    }
    assert_eq!(redis!("SET", "s", "1" => String)?, "OK");
    assert_eq!(redis!("SET", "s", "2", "NX" => Option<String>)?, None);
    assert_eq!(
        redis!("SET", "new", "2", "NX" => Option<String>)?.as_deref(),
        Some("OK")
    );
    assert_eq!(redis!("SET", "absent", "2", "XX" => Option<String>)?, None);
    assert_eq!(
        redis!("SET", "s", "3", "XX", "GET" => Option<String>)?.as_deref(),
        Some("1")
    );
    assert_eq!(redis!("SET", "fresh", "1", "GET" => Option<String>)?, None);
    assert_eq!(redis!("GET", "s" => String)?, "3");
    assert_eq!(redis!("INCR", "s" => i64)?, 4);
    assert_eq!(redis!("INCR", "count" => i64)?, 1);
    assert_eq!(redis!("EXISTS", "s", "count", "absent", "s" => i64)?, 3);
    assert_eq!(redis!("DEL", "count", "absent", "count" => i64)?, 1);
    assert_eq!(redis!("EXISTS", "count" => i64)?, 0);
    assert_eq!(redis!("RPUSH", "l", "a", "b" => i64)?, 2);
    assert_eq!(redis!("RPUSH", "l", "c" => i64)?, 3);
    assert_eq!(
        redis!("LRANGE", "l", "0", "-1" => Vec<String>)?,
        ["a", "b", "c"]
    );
    assert_eq!(redis!("LRANGE", "l", "-2", "9" => Vec<String>)?, ["b", "c"]);
    assert!(redis!("LRANGE", "nothing", "0", "-1" => Vec<String>)?.is_empty());
    assert_eq!(redis!("EXISTS", "l" => i64)?, 1);
    assert_eq!(redis!("SET", "l", "string now" => String)?, "OK");
    assert_eq!(redis!("RPUSH", "m", "x" => i64)?, 1);
    assert_eq!(redis!("DEL", "m" => i64)?, 1);
    assert_eq!(redis!("RPUSH", "m", "y" => i64)?, 1);
    assert_eq!(redis!("LRANGE", "m", "0", "-1" => Vec<String>)?, ["y"]);
    assert_eq!(redis!("PING" => String)?, "PONG");
    assert_eq!(redis!("SELECT", "0" => String)?, "OK");

    let text = |outcome: Result<Value, RedisError>| match outcome {
        Ok(value) => format!("unexpected {value:?}"),
        Err(error) => error.to_string(),
    };
    for (outcome, wanted) in [
        (redis!("GET", "m" => Value), "wrong kind of value"),
        (redis!("RPUSH", "s", "x" => Value), "wrong kind of value"),
        (redis!("INCR", "l" => Value), "not an integer"),
        (
            redis!("GET" => Value),
            "wrong number of arguments for 'get' command",
        ),
        (redis!("SET", "s", "1", "BAD" => Value), "syntax error"),
        (
            redis!("SET", "s", "1", "EX", "1" => Value),
            "unsupported option 'EX'",
        ),
        (redis!("MGET", "s" => Value), "unsupported command 'MGET'"),
        (redis!("EXEC" => Value), "EXEC without MULTI"),
        (redis!("DISCARD" => Value), "DISCARD without MULTI"),
        (
            redis!("EVAL", "return 1", "0" => Value),
            "unsupported command 'EVAL'",
        ),
        (
            redis!("HELLO", "3" => Value),
            "unsupported protocol version",
        ),
        (redis!("SELECT", "1" => Value), "out of range"),
        (redis!("GET", vec![b'k'; 70_000] => Value), "key too long"),
    ] {
        let text = text(outcome);
        assert!(text.contains(wanted), "wanted '{wanted}', got '{text}'");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_all_or_nothing() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::started(3).await;
    let mut c = cluster.redis(1).await;
    let (n, before, len, items, gone): (i64, Option<String>, i64, Vec<String>, i64) = pipe()
        .atomic()
        .cmd("INCR")
        .arg("n")
        .cmd("GET")
        .arg("s")
        .cmd("RPUSH")
        .arg("l")
        .arg("a")
        .cmd("LRANGE")
        .arg("l")
        .arg(0)
        .arg(-1)
        .cmd("DEL")
        .arg("l")
        .query_async(&mut c)
        .await?;
    assert_eq!((n, before, len, gone), (1, None, 1, 1));
    assert_eq!(items, ["a"], "a transaction sees its own writes");

    // Word by word: the client's pipelines hide the text of an EXEC that was refused.
    for (last, wanted) in [
        (cmd("RPUSH").arg("s").arg("x"), "wrong kind of value"),
        (&mut cmd("FLUSHALL"), "unsupported command 'FLUSHALL'"),
        (
            &mut cmd("GET"),
            "wrong number of arguments for 'get' command",
        ),
    ] {
        let _: () = cmd("MULTI").query_async(&mut c).await?;
        let _: () = cmd("SET").arg("s").arg("half").query_async(&mut c).await?;
        let _: () = last.query_async(&mut c).await?;
        let refused: Result<Value, _> = cmd("EXEC").query_async(&mut c).await;
        let text = refused.map_or_else(|e| e.to_string(), |v| format!("{v:?}"));
        assert!(text.contains(wanted), "{text}");
    }
    let s: Option<String> = cmd("GET").arg("s").query_async(&mut c).await?;
    assert_eq!(s, None, "nothing of a refused transaction stays");

    // Two keys move together under concurrent transactions through all nodes.
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6 {
        let mut c = cluster.redis(writer % 3).await;
        writers.spawn(async move {
            for _ in 0..30 {
                let (a, b): (i64, i64) = pipe()
                    .atomic()
                    .cmd("INCR")
                    .arg("a")
                    .cmd("INCR")
                    .arg("b")
                    .query_async(&mut c)
                    .await?;
                assert_eq!(a, b);
            }
            Ok::<_, RedisError>(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    let (a, b): (i64, i64) = pipe()
        .atomic()
        .cmd("GET")
        .arg("a")
        .cmd("GET")
        .arg("b")
        .query_async(&mut c)
        .await?;
    assert_eq!((a, b), (180, 180));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn multi_keeps_redis_manners() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::started(1).await;
    let mut c = cluster.redis(0).await;
    let c = &mut c;
    let ok: String = cmd("MULTI").query_async(c).await?;
    let queued: String = cmd("SET").arg("k").arg("v").query_async(c).await?;
    let nested: Result<Value, _> = cmd("MULTI").query_async(c).await;
    let dropped: String = cmd("DISCARD").query_async(c).await?;
    assert_eq!((&*ok, &*queued, &*dropped), ("OK", "QUEUED", "OK"));
    assert!(nested.is_err_and(|e| e.to_string().contains("can not be nested")));
    let none: Option<String> = cmd("GET").arg("k").query_async(c).await?;
    assert_eq!(none, None);
    let _: String = cmd("MULTI").query_async(c).await?;
    let empty: Vec<Value> = cmd("EXEC").query_async(c).await?;
    assert!(empty.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_and_set_lets_exactly_one_win() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::started(3).await;
    let mut c = cluster.redis(0).await;
    let cas = |old: usize, new: usize| {
        let mut eval = cmd("EVAL");
        eval.arg(CAS).arg(1).arg("k").arg(old).arg(new);
        eval
    };
    assert_eq!(
        cas(0, 1).query_async::<i64>(&mut c).await?,
        0,
        "a missing key equals nothing"
    );
    let _: () = cmd("SET").arg("k").arg(0).query_async(&mut c).await?;
    for round in 0..20 {
        let mut rivals = tokio::task::JoinSet::new();
        for rival in 0..4 {
            let mut c = cluster.redis(rival % 3).await;
            let eval = cas(round, round + 1);
            rivals.spawn(async move { eval.query_async::<i64>(&mut c).await });
        }
        let mut wins = 0;
        while let Some(rival) = rivals.join_next().await {
            wins += rival??;
        }
        assert_eq!(wins, 1, "round {round}");
    }
    Ok(())
}
