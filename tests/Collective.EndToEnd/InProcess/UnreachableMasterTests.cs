using System.Net;
using System.Net.Sockets;
using Collective.EndToEnd.Support;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Connecting to what is no master ends in time, with a reason, and leaves a communicator that can try again.</summary>
internal sealed class UnreachableMasterTests : EndToEndTest
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);

    [Test]
    public async Task NothingListens()
    {
        var port = ClosedPort();
        var communicator = Connecting(port);
        for (var attempt = 0; attempt < 2; attempt++)
        {
            AssertFailure(await FailureOf(() => communicator.ConnectAsync()), ErrorCode.MasterUnreachable, $"127.0.0.1:{port}", "check");
            AssertFailure(await FailureOf(() => communicator.UpdateTopologyAsync()), ErrorCode.MasterUnreachable);
        }
    }

    [Test]
    public async Task TheNameIsUnknown()
    {
        var name = $"{new string('x', 64)}.invalid"; // A label that no resolver asks a server for.
        var communicator = NewCommunicator(new CommunicatorOptions($"{name}:1234") { LoggerFactory = Log });
        AssertFailure(await FailureOf(() => communicator.ConnectAsync()), ErrorCode.MasterUnreachable, name, "check");
    }

    [Test]
    public async Task ItAcceptsAndNeverAnswers()
    {
        using var listener = new Impostor([], close: false);
        AssertFailure(await FailureOf(() => Connecting(listener.Port).ConnectAsync()), ErrorCode.MasterUnreachable, $"{listener.Port}", "check the address");
    }

    [Test]
    public async Task ItNeverAccepts()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        AssertFailure(await FailureOf(() => Connecting(port).ConnectAsync()), ErrorCode.MasterUnreachable, $"{port}", "check the address");
    }

    private static IEnumerable<TestCaseData> Garbage()
    {
        var random = new byte[5000];
        new Random(1).NextBytes(random);
        var frame = new byte[1024];
        var welcome = MessageCodec.Encode(new Welcome(new PeerId(Guid.NewGuid()), 5000, 4096), 1, new RunId(Guid.NewGuid()), frame);
        yield return Case("random bytes", random, false);
        yield return Case("HTTP", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), false);
        yield return Case("a byte", [1], false);
        yield return Case("a byte, then the end", [1], true);
        yield return Case("nothing, then the end", [], true);
        yield return Case("a frame without its payload", frame[..FrameHeader.Bytes], false);
        yield return Case("half a frame, then the end", frame[..(welcome - 1)], true);
        yield return Case("a frame of another kind", [4, 0, 0, 0, 99, .. new byte[23]], false);

        static TestCaseData Case(string name, byte[] answer, bool close) => new TestCaseData(answer, close).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Garbage))]
    public async Task ItAnswersGarbage(byte[] answer, bool close)
    {
        using var listener = new Impostor(answer, close);
        AssertFailure(await FailureOf(() => Connecting(listener.Port).ConnectAsync()), ErrorCode.MasterUnreachable, "master", "check the address");
    }

    [Test]
    public async Task OnceThereIsAMasterTheSameCommunicatorConnects()
    {
        var port = ClosedPort();
        var communicator = Connecting(port, TimeSpan.FromSeconds(3)); // Long enough for a busy machine to connect.
        AssertFailure(await FailureOf(() => communicator.ConnectAsync()), ErrorCode.MasterUnreachable);
        StartMaster(listen: $"127.0.0.1:{port}");
        await communicator.ConnectAsync().WaitAsync(Deadline);
        Assert.That(communicator.World.WorldSize, Is.EqualTo(1));
    }

    private Communicator Connecting(int port, TimeSpan? connectTimeout = null)
        => NewCommunicator(new CommunicatorOptions($"127.0.0.1:{port}") { ConnectTimeout = connectTimeout ?? Short, ListenPort = 0, LoggerFactory = Log });

    private static int ClosedPort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <summary>Accepts, answers with fixed bytes, and perhaps closes.</summary>
    private sealed class Impostor : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly List<Socket> _accepted = [];

        public Impostor(byte[] answer, bool close)
        {
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen();
            _ = Serve(answer, close);
        }

        public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

        public void Dispose()
        {
            _listener.Dispose();
            lock (_accepted)
            {
                _accepted.ForEach(socket => socket.Dispose());
            }
        }

        private async Task Serve(byte[] answer, bool close)
        {
            var socket = await _listener.AcceptAsync();
            lock (_accepted)
            {
                _accepted.Add(socket);
            }

            await socket.SendAsync(answer);
            if (close)
            {
                socket.Shutdown(SocketShutdown.Send);
            }
        }
    }
}
