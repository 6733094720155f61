using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Collective.EndToEnd.Support;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.EndToEnd.Hostile;

/// <summary>A daemon at its limits, and what others can make it hold: it drops what is too much, says so, and goes on.</summary>
internal sealed class ShortageTests : EndToEndTest
{
    private const long MiB = 1024 * 1024;

    /// <summary>Threads do not grow with connections, so no limit of them ends the master that could start.</summary>
    [Test]
    public async Task IdleConnectionsTakeNoThreads([Values(25, 40, 100)] int threads)
    {
        var user = NeedsRootAnd("setpriv", "prlimit");
        string[] limits = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "prlimit", $"--nproc={threads}"];
        await using var daemon = DaemonProcess.StartUnder(limits, new Dictionary<string, string> { ["HOME"] = "/tmp", ["DOTNET_CLI_HOME"] = "/tmp" }, "--listen", "127.0.0.1:0");
        var endPoint = await daemon.ReadEndPointAsync();
        var before = daemon.Usage().Threads;
        var idle = await Connect(endPoint, 200);
        await using var peer = NewCommunicator(new CommunicatorOptions(endPoint.ToString()) { ListenPort = 0, LoggerFactory = Log });
        await peer.ConnectAsync().WaitAsync(Deadline);
        Assert.That(daemon.Usage().Threads, Is.LessThan(before + 10));
        Close(idle);
        Assert.That(daemon.Lives);
    }

    /// <summary>The newest connections go, and hear why; the peer that was there notices nothing, and newcomers are let in again when there is room.</summary>
    [Test]
    public async Task WithoutDescriptorsTheNewestConnectionGoes([Values(128, 200)] int descriptors)
    {
        Needs("prlimit");
        await using var daemon = DaemonProcess.StartUnder(["prlimit", $"--nofile={descriptors}"], new Dictionary<string, string>(), "--listen", "127.0.0.1:0", "--heartbeat-timeout", "30");
        var endPoint = await daemon.ReadEndPointAsync();
        await using var peer = NewCommunicator(new CommunicatorOptions(endPoint.ToString()) { ListenPort = 0, LoggerFactory = Log });
        await peer.ConnectAsync().WaitAsync(Deadline);
        var before = daemon.Descriptors();
        var idle = await Connect(endPoint, descriptors);
        string? line;
        do
        {
            line = await daemon.ReadLineAsync();
        }
        while (line is not null && !line.Contains("Could not take another connection", StringComparison.Ordinal));

        Assert.That(line, Is.Not.Null, "it says so");
        Close(idle);
        await DaemonProcess.Until(() => daemon.Descriptors() <= before);
        await using var newcomer = NewCommunicator(new CommunicatorOptions(endPoint.ToString()) { ListenPort = 0, LoggerFactory = Log });
        await Admit([peer], 2, newcomer.ConnectAsync());
        Assert.That(daemon.Lives);
    }

    /// <summary>Who says nothing goes first; the honest newcomer is not refused for the others.</summary>
    [Test]
    public async Task HonestNewcomersComeInBesideSilentStrangers()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--log-level", "error");
        var endPoint = await daemon.ReadEndPointAsync();
        var silent = await Connect(endPoint, Limits.UnregisteredConnectionsMax);
        await using var peers = new ControlPeers(endPoint, TimeSpan.FromSeconds(1));
        await peers.Come(40);
        await peers.Until(() => peers.Living.All(p => p.Registered) || !peers.Ended.IsEmpty, Deadline);
        Assert.That(peers.Ended, Is.Empty);
        Close(silent);
    }

    /// <summary>A header is a promise; memory is given for bytes.</summary>
    [Test]
    public async Task AnnouncedBytesTakeNoMemory()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--log-level", "error");
        var endPoint = await daemon.ReadEndPointAsync();
        await (await Connect(endPoint, 1))[0].SendAsync(Header(MessageKind.Hello, 100));
        var before = daemon.Usage().Bytes;
        for (var i = 0; i < 15; i++)
        {
            var stalled = await Connect(endPoint, 100);
            foreach (var socket in stalled)
            {
                await socket.SendAsync(Header(MessageKind.Hello, Limits.ControlBytesMax));
            }

            Close(stalled);
        }

        Assert.That(daemon.Usage().PeakBytes - before, Is.LessThan(128 * MiB));
    }

    /// <summary>Members that begin large votes and do not end them: what has come is kept, within a bound, and given back.</summary>
    [Test]
    public async Task LargeMessagesThatDoNotEndAreBounded()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--log-level", "error");
        var endPoint = await daemon.ReadEndPointAsync();
        await using var peers = new ControlPeers(endPoint, TimeSpan.FromSeconds(1));
        await peers.Come(20);
        await peers.Until(() => peers.Living.All(p => p.Registered), Deadline);
        var before = daemon.Usage().Bytes;
        var part = new byte[64 * 1024];
        for (var i = 0; i < 120; i++)
        {
            var first = i == 0;
            await peers.Do(() =>
            {
                foreach (var peer in peers.Living)
                {
                    // A connection that waits for room is not read, so what it sends may wait as well.
                    peer.Socket.Blocking = false;
                    peer.Send(first ? Header(MessageKind.SharedStateVote, Limits.StateBytesMax) : part);
                }
            });
        }

        Assert.That(daemon.Usage().PeakBytes - before, Is.LessThan(128 * MiB));
        await peers.Die(20);
        using var patience = new CancellationTokenSource(Deadline);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (daemon.Usage().Bytes - before > 48 * MiB)
        {
            Assert.That(await pace.WaitForNextTickAsync(patience.Token), "given back");
        }
    }

    /// <summary>Prints the latency of honest operations at a quiet master, and beside 1,500 strangers that stall and ten members that drip.</summary>
    [Test]
    [Explicit("A measurement.")]
    public async Task LatencyUnderAttack()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--log-level", "error");
        var endPoint = await daemon.ReadEndPointAsync();
        Communicator[] honest = [New(), New()];
        await All(honest, p => p.ConnectAsync());
        var first = await MedianMs(honest);
        var quiet = await MedianMs(honest);
        await using var peers = new ControlPeers(endPoint, TimeSpan.FromSeconds(1));
        await peers.Come(10);
        await peers.Until(() => peers.Living.All(p => p.Registered), Deadline);
        using var ended = new CancellationTokenSource();
        var attacks = Task.WhenAll(Stall(), Drip());
        var attacked = await MedianMs(honest);
        await ended.CancelAsync();
        await attacks.WaitAsync(Deadline);
        var again = await MedianMs(honest);
        TestContext.Out.WriteLine($"4 bytes, 2 peers, median of 5,000: {first:0.000} ms at first, {quiet:0.000} ms quiet, {attacked:0.000} ms under attack, {again:0.000} ms afterwards; {daemon.Usage().PeakBytes / MiB} MiB at most");

        Communicator New() => NewCommunicator(new CommunicatorOptions(endPoint.ToString()) { Group = 1, MinimumWorldSize = 2, ListenPort = 0, LoggerFactory = Log });

        async Task Stall()
        {
            while (!ended.IsCancellationRequested)
            {
                var sockets = new List<Socket>();
                for (var i = 0; i < 15; i++)
                {
                    sockets.AddRange(await Connect(endPoint, 100));
                    foreach (var socket in sockets[^100..])
                    {
                        await socket.SendAsync(Header(MessageKind.Hello, Limits.ControlBytesMax));
                    }
                }

                Close([.. sockets]);
            }
        }

        async Task Drip()
        {
            for (var first = true; !ended.IsCancellationRequested; first = false)
            {
                await peers.Do(() =>
                {
                    foreach (var peer in peers.Living)
                    {
                        peer.Socket.Blocking = false;
                        peer.Send(first ? Header(MessageKind.SharedStateVote, Limits.StateBytesMax) : new byte[1024]);
                    }
                });
            }
        }
    }

    private static async Task<double> MedianMs(Communicator[] peers)
    {
        const int operations = 5_000;
        var times = new double[operations];
        await Task.WhenAll(peers.Select((peer, at) => Task.Run(async () =>
        {
            var values = new int[1];
            for (var i = 0; i < operations; i++)
            {
                var begun = Stopwatch.GetTimestamp();
                await peer.AllReduceAsync<int>(values);
                if (at == 0)
                {
                    times[i] = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
                }
            }
        }))).WaitAsync(Deadline);
        Array.Sort(times);
        return times[operations / 2];
    }

    /// <summary>For longer than the timeout nothing comes but pieces of one message; then its end.</summary>
    [Test]
    public async Task AMessageThatIsStillArrivingIsASignOfLife()
    {
        const int pieces = 60;
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--heartbeat-timeout", "2", "--log-level", "error");
        await using var peers = new ControlPeers(await daemon.ReadEndPointAsync(), TimeSpan.FromMinutes(10)); // Their first heartbeats never come.
        await peers.Come(1);
        await peers.Until(() => peers.Living.All(p => p.Standing != 0), Deadline);
        var vote = new byte[1024 * 1024];
        var entries = Enumerable.Range(0, 6_000).Select(i => new StateEntry($"{i:x64}", DataType.Float32, 1, false, default)).ToList();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var run = peers.Living.Single().Run;
        var bytes = MessageCodec.Encode(new SharedStateVote(new RequestNumber(1), default, default, default, entries), 1, run, vote);
        for (var i = 0; i < pieces && await pace.WaitForNextTickAsync(); i++)
        {
            var from = bytes * i / pieces;
            var to = bytes * (i + 1) / pieces;
            await peers.Do(() => peers.Living.FirstOrDefault()?.Send(vote.AsSpan(from, to - from)));
        }

        await peers.Until(() => peers.Living.All(p => p.Synced) || !peers.Ended.IsEmpty, Deadline);
        Assert.That(peers.Ended, Is.Empty);
    }

    private static byte[] Header(MessageKind kind, int payloadBytes)
    {
        var bytes = new byte[FrameHeader.Bytes];
        BitConverter.TryWriteBytes(bytes, payloadBytes);
        bytes[4] = (byte)kind;
        return bytes;
    }

    private static async Task<Socket[]> Connect(IPEndPoint endPoint, int count)
    {
        var sockets = new Socket[count];
        for (var i = 0; i < count; i++)
        {
            sockets[i] = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await sockets[i].ConnectAsync(endPoint);
        }

        return sockets;
    }

    private static void Close(Socket[] sockets)
    {
        foreach (var socket in sockets)
        {
            socket.Dispose();
        }
    }

    /// <summary>A user that nobody else is, so that its threads are the daemon's alone.</summary>
    private static string NeedsRootAnd(params string[] programs)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Assert.Ignore("only root may become another user, whose threads are counted");
        }

        Needs(programs);
        return $"{20_000 + (Environment.ProcessId % 30_000) + Interlocked.Increment(ref s_users)}";
    }

    private static void Needs(params string[] programs)
    {
        foreach (var program in programs.Where(p => !File.Exists($"/usr/bin/{p}")))
        {
            Assert.Ignore($"needs {program} of util-linux");
        }
    }

    private static int s_users;
}
