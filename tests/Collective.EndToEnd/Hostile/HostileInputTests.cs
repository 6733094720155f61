using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Collective.EndToEnd.Support;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.EndToEnd.Hostile;

/// <summary>Whatever comes in on the master's port costs its sender the connection, and two peers that reduce meanwhile notice nothing.</summary>
internal sealed class HostileInputTests : EndToEndTest
{
    private static readonly RunId NoRun = new(Guid.Empty);

    private static IEnumerable<TestCaseData> Bytes()
    {
        var random = new byte[100_000];
        new Random(3).NextBytes(random);
        yield return Case("random bytes", random);
        yield return Case("zeros", new byte[1000]);
        yield return Case("HTTP", "GET / HTTP/1.1\r\nHost: master\r\n\r\n"u8.ToArray());
        yield return Case("a length of 4 GiB", [0xFF, 0xFF, 0xFF, 0xFF, 1, 0, .. new byte[100]]);
        yield return Case("a length just above the limit", [1, 0, 8, 0, 1, 0, .. new byte[100]]);
        yield return Case("a shared state too long for a stranger", [1, 0, 8, 0, 12, 0, .. new byte[100]]);
        yield return Case("kind 0", [0, 0, 0, 0, 0, 0, .. new byte[18]]);
        yield return Case("kind 99", [0, 0, 0, 0, 99, 0, .. new byte[18]]);
        yield return Case("kind 300", [0, 0, 0, 0, 44, 1, .. new byte[18]]);
        yield return Case("a hello without magic", [12, 0, 0, 0, 1, 0, .. new byte[18 + 12]]);
        yield return Case("a hello with bytes left over", [13, 0, 0, 0, 1, 0, .. new byte[18], .. Frame(Hello)[FrameHeader.Bytes..], 0]);
        yield return Case("a heartbeat before hello", Frame(new Heartbeat()));
        yield return Case("a leave before hello", Frame(new Leave()));
        yield return Case("a vote before hello", Frame(new TopologyVote(default)));
        yield return Case("a collective before hello", Frame(new CollectiveStart(default, new CollectiveDescriptor(1, DataType.Int8, ReduceOperation.Sum, 0))));
        yield return Case("a shared state before hello", Frame(new SharedStateVote(default, default, default, default, [])));
        yield return Case("a verdict", Frame(new Verdict(default)));
        yield return Case("a welcome", Frame(new Welcome(default, 1000, 4096)));

        static TestCaseData Case(string name, byte[] bytes) => new TestCaseData(bytes).SetArgDisplayNames(name);
    }

    private static IEnumerable<TestCaseData> AfterHello()
    {
        yield return Case("another hello", Hello);
        yield return Case("a vote while pending", new TopologyVote(default));
        yield return Case("a question while pending", new PendingQuery(default));
        yield return Case("a lone peer's question while pending", new AdmitWhenAlone(default));
        yield return Case("an acknowledgement while pending", new EpochReady(Epoch.First(1)));
        yield return Case("a broken link while pending", new LinkFailed(Epoch.First(1), default, true, ""));
        yield return Case("a collective while pending", new CollectiveStart(new AttemptKey(Epoch.First(1), default, 0), new CollectiveDescriptor(1, DataType.Int8, ReduceOperation.Sum, 0)));
        yield return Case("a promise while pending", new CollectiveDone(new AttemptKey(Epoch.First(1), default, 0), true, ""));
        yield return Case("a shared state while pending", new SharedStateVote(default, default, default, default, []));
        yield return Case("a fetched state while pending", new SharedStateDone(default, true, ""));
        yield return Case("an accusation while pending", new HolderFailed(default, default, true, ""));
        yield return Case("a plan", new SharedStatePlan(default, default, [], [], []));
        yield return Case("an epoch", new EpochOpened(Epoch.First(9), default, "", [], [], []));

        static TestCaseData Case(string name, Message message) => new TestCaseData(message).SetArgDisplayNames(name);
    }

    private static Hello Hello => new(MessageCodec.Version, default, 1, 1);

    [TestCaseSource(nameof(Bytes))]
    public Task WhatIsNoProtocolIsClosed(byte[] bytes) => Undisturbed(async master =>
    {
        using var socket = await Connect(master);
        await Send(socket, bytes);
        await UntilClosed(socket);
    });

    /// <summary>Every place at which a good hello can be cut off by the end of the connection.</summary>
    [Test]
    public Task ATruncatedFrameIsClosed() => Undisturbed(async master =>
    {
        var hello = Frame(Hello);
        for (var length = 0; length < hello.Length; length++)
        {
            using var socket = await Connect(master);
            await Send(socket, hello[..length]);
            socket.Shutdown(SocketShutdown.Send);
            await UntilClosed(socket);
        }
    });

    [TestCaseSource(nameof(AfterHello))]
    public Task AMessageThatIsNotAllowedNowIsClosed(object message) => Undisturbed(async master =>
    {
        using var socket = await Connect(master);
        await Send(socket, Frame(Hello));
        var (header, _) = await Receive(socket);
        await Send(socket, Frame((Message)message, header.Run));
        var (_, answer) = await UntilMessage<Evicted>(socket);
        Assert.That(answer.Reason, Is.Not.Empty);
        await UntilClosed(socket);
    });

    [Test]
    public Task AFrameOfAnotherRunIsClosed() => Undisturbed(async master =>
    {
        using var socket = await Connect(master);
        await Send(socket, Frame(Hello));
        var (header, welcome) = await Receive(socket);
        Assert.That(welcome, Is.TypeOf<Welcome>());
        await Send(socket, [.. Frame(new Heartbeat(), header.Run), .. Frame(new Heartbeat(), new RunId(Guid.NewGuid()))]);
        var (_, answer) = await UntilMessage<Evicted>(socket);
        Assert.That(answer.Reason, Does.Contain("Heartbeat of run"));
        await UntilClosed(socket);
    });

    [Test]
    public Task AnotherVersionIsRefusedWithBothNamed([Values(0, 2, 65_535)] int version) => Undisturbed(async master =>
    {
        using var socket = await Connect(master);
        await Send(socket, Frame(new Hello((ushort)version, default, 1, 1)));
        var (header, answer) = await UntilMessage<Refused>(socket);
        Assert.That(header.Run, Is.EqualTo(NoRun), "a stranger need not know the run");
        Assert.That(answer.Code, Is.EqualTo(ErrorCode.MasterRefused));
        Assert.That(answer.Reason, Does.Contain($"version {MessageCodec.Version}").And.Contain($"peer {version}"));
        await UntilClosed(socket);
    });

    /// <summary>A newcomer that cannot be reached by its neighbour has to go, not the peer that was there before: whether it keeps the protocol, or does nothing but beat.</summary>
    [TestCase(true, "data")]
    [TestCase(false, "whom it reaches")]
    public async Task AnUnreachableNewcomerIsTheOneThatGoes(bool answers, string says)
    {
        var master = StartMaster(heartbeat: TimeSpan.FromSeconds(5));
        var peer = await ConnectAlone(master);
        using var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0)); // Bound, so that nobody else listens there; not listening.
        using var socket = await Connect(master);
        await Send(socket, Frame(new Hello(MessageCodec.Version, default, (ushort)((IPEndPoint)closed.LocalEndPoint!).Port, 1)));
        var (header, welcome) = await Receive(socket);
        Assert.That(welcome, Is.TypeOf<Welcome>());
        var update = peer.UpdateTopologyAsync();
        var questions = new ConcurrentQueue<SurveyLinks>();
        var evicted = Listen();
        using var beats = new PeriodicTimer(TimeSpan.FromMilliseconds(50)); // It lives: only data cannot reach it.
        while (!evicted.IsCompleted && await beats.WaitForNextTickAsync())
        {
            await Send(socket, Frame(new Heartbeat(), header.Run));
            while (answers && questions.TryDequeue(out var question))
            {
                await Send(socket, Frame(new LinksSurveyed(question.Epoch, []), header.Run));
            }
        }

        Assert.That((await evicted).Reason, Does.Contain(says));
        Assert.That((await update.WaitAsync(Deadline)).WorldSize, Is.EqualTo(1));

        async Task<Evicted> Listen()
        {
            while (true)
            {
                switch ((await Receive(socket)).Message)
                {
                    case Evicted message: return message;
                    case SurveyLinks question: questions.Enqueue(question); break;
                }
            }
        }
    }

    [Test]
    public Task IdleConnectionsAreClosed() => Undisturbed(async master =>
    {
        var sockets = await Task.WhenAll(Enumerable.Range(0, 300).Select(_ => Connect(master)));
        await Task.WhenAll(sockets.Select(UntilClosed)).WaitAsync(Deadline);
        foreach (var socket in sockets)
        {
            socket.Dispose();
        }
    });

    [Test]
    public Task OneByteAtATimeIsClosed() => Undisturbed(async master =>
    {
        using var socket = await Connect(master);
        var closed = UntilClosed(socket);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(250)); // Always faster than silence, never done in time.
        var hello = Frame(Hello);
        for (var i = 0; i < hello.Length - 1 && !closed.IsCompleted; i++)
        {
            await Send(socket, hello[i..(i + 1)]);
            await pace.WaitForNextTickAsync();
        }

        await closed;
    });

    /// <summary>Runs the attack while two peers reduce; nothing of theirs is aborted, and their epoch stays.</summary>
    private async Task Undisturbed(Func<CollectiveMaster, Task> attack)
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        var epoch = peers[0].World.Epoch;
        var stop = new int[1];
        var rounds = peers.Select(async (peer, i) =>
        {
            for (var step = 1; ; step++)
            {
                var buffer = new[] { step, Volatile.Read(ref stop[0]) };
                var result = await peer.AllReduceAsync<int>(buffer, ReduceOperation.Max);
                Assert.That(result.World.Epoch, Is.EqualTo(epoch));
                Assert.That(buffer[0], Is.EqualTo(step));
                if (buffer[1] > 0)
                {
                    return step;
                }
            }
        }).ToArray();
        await attack(master).WaitAsync(Deadline);
        Volatile.Write(ref stop[0], 1);
        Assert.That(await Task.WhenAll(rounds).WaitAsync(Deadline), Is.All.GreaterThan(0));
        Assert.That((await All(peers, p => p.UpdateTopologyAsync())).Select(w => w.Epoch), Is.All.EqualTo(epoch), "nobody hostile was let in");

        var newcomer = NewCommunicator(master);
        await Admit(peers, 3, newcomer.ConnectAsync());
    }

    private static async Task<Socket> Connect(CollectiveMaster master)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(master.EndPoint);
        return socket;
    }

    private static byte[] Frame(Message message) => Frame(message, NoRun);

    private static byte[] Frame(Message message, RunId run)
    {
        var buffer = new byte[4096];
        return buffer[..MessageCodec.Encode(message, 1, run, buffer)];
    }

    /// <summary>Sends what the other side takes; that it has closed already is what is wanted.</summary>
    private static async Task Send(Socket socket, byte[] bytes)
    {
        try
        {
            for (var sent = 0; sent < bytes.Length;)
            {
                sent += await socket.SendAsync(bytes.AsMemory(sent));
            }
        }
        catch (SocketException)
        {
            // Closed.
        }
    }

    private static async Task UntilClosed(Socket socket)
    {
        var scrap = new byte[4096];
        try
        {
            while (await socket.ReceiveAsync(scrap).WaitAsync(Deadline) > 0)
            {
                // What it had to say.
            }
        }
        catch (SocketException)
        {
            // Closed, with something of ours unread.
        }
    }

    private static async Task<(FrameHeader Header, T Message)> UntilMessage<T>(Socket socket)
        where T : Message
    {
        while (true)
        {
            var (header, message) = await Receive(socket);
            if (message is T wanted)
            {
                return (header, wanted);
            }

            Assert.That(message, Is.TypeOf<Heartbeat>().Or.TypeOf<Welcome>());
        }
    }

    private static async Task<(FrameHeader Header, Message Message)> Receive(Socket socket)
    {
        var header = FrameHeader.Parse(await Exactly(socket, FrameHeader.Bytes))!.Value;
        return (header, MessageCodec.Decode(header.Kind, await Exactly(socket, header.PayloadBytes))!);
    }

    private static async Task<byte[]> Exactly(Socket socket, int count)
    {
        var bytes = new byte[count];
        for (var received = 0; received < count;)
        {
            var more = await socket.ReceiveAsync(bytes.AsMemory(received)).AsTask().WaitAsync(Deadline);
            Assert.That(more, Is.GreaterThan(0), "closed without an answer");
            received += more;
        }

        return bytes;
    }
}
