using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Collective.EndToEnd.Support;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>What the daemon logs about its peers, friendly ones and others.</summary>
[TestFixture]
internal sealed class MasterDaemonLogTests
{
    private RunId _run;

    [Test]
    public async Task A_peer_that_comes_and_goes_is_logged()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0");
        var endPoint = await daemon.ReadEndPointAsync();
        PeerId id;
        await using (var communicator = new Communicator(new CommunicatorOptions(endPoint.ToString()) { ListenPort = 0 }))
        {
            await communicator.ConnectAsync();
            id = communicator.Id;
        }

        daemon.Signal(DaemonProcess.Terminate);
        var (code, log, errors) = await daemon.WaitForExitAsync();
        Assert.That(code, Is.Zero, errors);
        var lines = log.Split('\n').Where(line => line.Contains(id.ToShortString(), StringComparison.Ordinal)).ToList();
        Assert.That(lines, Has.Some.Contains("admitted").And.Some.Contains("left"));
        Assert.That(lines, Has.All.Match(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INF|WRN) "));
    }

    [Test]
    public async Task Json_lines_have_fields_and_clean_text()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--log-format", "json");
        using var listening = JsonDocument.Parse((await daemon.ReadLineAsync())!);
        var endPoint = IPEndPoint.Parse(listening.RootElement.GetProperty("EndPoint").GetString()!);
        await using (var peers = new ControlPeers(endPoint, TimeSpan.FromSeconds(1)))
        {
            await peers.Come(1);
            await peers.Until(() => peers.Living.All(p => p.Standing != 0), TimeSpan.FromSeconds(60));
            await peers.Die(1);
        }

        var lines = new List<JsonElement>();
        do
        {
            using var line = JsonDocument.Parse((await daemon.ReadLineAsync())!);
            lines.Add(line.RootElement.Clone());
        }
        while (EventOf(lines[^1]) != "PeerLost");

        var opened = lines.Find(l => EventOf(l) == "EpochOpened");
        Assert.That(opened.GetProperty("Group").GetInt32(), Is.Zero);
        Assert.That(opened.GetProperty("Epoch").GetString(), Is.EqualTo("1.1"));
        Assert.That(opened.GetProperty("Reason").GetString(), Does.StartWith("admitted "));
        Assert.That(opened.GetProperty("@m").GetString(), Does.StartWith("epoch 1.1 of group 0"), "no quotes around it");
        Assert.That(lines[^1].GetProperty("Peer").GetString(), Has.Length.EqualTo(8));
        Assert.That(lines[^1].GetProperty("Reason").GetString(), Does.StartWith("its connection"));

        static string EventOf(JsonElement line) => line.GetProperty("EventId").GetProperty("Name").GetString()!;
    }

    [Test]
    public async Task Strangers_cost_nobody_anything()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0");
        var endPoint = await daemon.ReadEndPointAsync();
        foreach (var bytes in (byte[][])["GET / HTTP/1.1\r\nHost: master\r\n\r\n"u8.ToArray(), new byte[64], [.. Enumerable.Repeat((byte)0xff, 64)]])
        {
            using var stranger = new TcpClient();
            await stranger.ConnectAsync(endPoint);
            await stranger.GetStream().WriteAsync(bytes);
            await ReadToEndAsync(stranger);
        }

        await using var communicator = new Communicator(new CommunicatorOptions(endPoint.ToString()) { ListenPort = 0 });
        await communicator.ConnectAsync();
        Assert.That(communicator.IsConnected);
        daemon.Signal(DaemonProcess.Terminate);
        Assert.That((await daemon.WaitForExitAsync()).Code, Is.Zero);
    }

    [Test]
    public async Task A_log_that_nobody_reads_does_not_hold_up_the_master()
    {
        const int Peers = 1_000;
        const int PipeBytes = 64 * 1024;
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0");
        var endPoint = await daemon.ReadEndPointAsync();
        await using var peers = new ControlPeers(endPoint, TimeSpan.FromSeconds(1));
        await peers.Come(Peers);
        await peers.Until(() => peers.Living.All(p => p.Registered), TimeSpan.FromSeconds(60));
        await peers.Leave();
        await peers.Until(() => peers.Living.Count == 0, TimeSpan.FromSeconds(60));
        await using var communicator = new Communicator(new CommunicatorOptions(endPoint.ToString()) { ListenPort = 0 });
        await communicator.ConnectAsync();
        daemon.Signal(DaemonProcess.Terminate);
        var code = await daemon.WaitForExitUnreadAsync();
        var (_, log, _) = await daemon.WaitForExitAsync();
        Assert.That(log, Has.Length.AtLeast(PipeBytes - 4096), "the pipe was not full, so this test shows nothing");
        Assert.That(code, Is.Zero);
    }

    [Test]
    public async Task A_text_from_a_peer_cannot_forge_a_line()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0");
        using var peer = new TcpClient();
        await peer.ConnectAsync(await daemon.ReadEndPointAsync());
        await SendAsync(peer, new Hello(MessageCodec.Version, new PeerGroup(0), 1, 1));
        var epoch = await ReceiveAsync<EpochOpened>(peer);
        await SendAsync(peer, new EpochReady(epoch.Epoch));
        await ReceiveAsync<EpochStands>(peer);
        var attempt = new AttemptKey(epoch.Epoch, new Tag(1), 0);
        await SendAsync(peer, new CollectiveStart(attempt, new CollectiveDescriptor(1, DataType.UInt8, ReduceOperation.Sum, Quantisation: 0)));
        await SendAsync(peer, new CollectiveDone(attempt, Ok: false, "first\n2000-01-01T00:00:00.000Z INF forged \u001b[31m"));
        await ReceiveAsync<EpochOpened>(peer);

        daemon.Signal(DaemonProcess.Terminate);
        var (_, log, _) = await daemon.WaitForExitAsync();
        Assert.That(log, Does.Contain(@"first\u000a2000-01-01T00:00:00.000Z INF forged \u001b[31m"));
        Assert.That(log, Does.Not.Contain("\n2000-"));
    }

    private async Task SendAsync(TcpClient peer, Message message)
    {
        var frame = new byte[FrameHeader.Bytes + 1024];
        var length = MessageCodec.Encode(message, term: 0, _run, frame);
        await peer.GetStream().WriteAsync(frame.AsMemory(0, length));
    }

    /// <summary>Reads on until a message of this kind comes.</summary>
    private async Task<T> ReceiveAsync<T>(TcpClient peer)
        where T : Message
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            var header = new byte[FrameHeader.Bytes];
            await peer.GetStream().ReadExactlyAsync(header, deadline.Token);
            var frame = FrameHeader.Parse(header)!.Value;
            _run = frame.Run;
            var payload = new byte[frame.PayloadBytes];
            await peer.GetStream().ReadExactlyAsync(payload, deadline.Token);
            if (MessageCodec.Decode(frame.Kind, payload) is T message)
            {
                return message;
            }
        }
    }

    /// <summary>Waits until the master closes the connection, politely or not.</summary>
    private static async Task ReadToEndAsync(TcpClient connection)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        try
        {
            await connection.GetStream().CopyToAsync(Stream.Null, deadline.Token);
        }
        catch (IOException)
        {
            // Reset: it is closed all the same.
        }
    }
}
