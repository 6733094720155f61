using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>The daemon as its operator sees it: what it prints, what it obeys and how it ends.</summary>
[TestFixture]
internal sealed class MasterDaemonTests
{
    private const int AddressInUse = 3;
    private const int CannotListen = 4;
    private const int Usage = 2;

    private string _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("collective-master-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [TestCase("127.0.0.1:0", "127.0.0.1")]
    [TestCase("localhost:0", "127.0.0.1")]
    [TestCase("0.0.0.0:0", "0.0.0.0")]
    [TestCase("[::1]:0", "::1")]
    [TestCase("[::]:0", "::")]
    public async Task Says_where_it_listens_and_listens_there(string listen, string address)
    {
        await using var daemon = DaemonProcess.Start("--listen", listen);
        var endPoint = await daemon.ReadEndPointAsync();
        Assert.That(endPoint.Address, Is.EqualTo(IPAddress.Parse(address)).Or.EqualTo(IPAddress.IPv6Loopback));
        Assert.That(endPoint.Port, Is.Positive);
        using var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(Reachable(endPoint.Address), endPoint.Port));
        Assert.That(socket.Connected);
    }

    [TestCase(DaemonProcess.Terminate, "SIGTERM")]
    [TestCase(DaemonProcess.Interrupt, "SIGINT")]
    public async Task A_signal_stops_it_with_success(int signal, string name)
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0");
        var endPoint = await daemon.ReadEndPointAsync();
        using var silent = new TcpClient();
        await silent.ConnectAsync(endPoint);
        daemon.Signal(signal);
        var (code, log, errors) = await daemon.WaitForExitAsync();
        Assert.That(code, Is.Zero, errors); // It is another one when closing takes too long.
        Assert.That(log, Does.Contain($"Stopping, because of {name}"));
        Assert.That(errors, Is.Empty);
    }

    [Test]
    public async Task A_port_in_use_is_one_sentence()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        await using var daemon = DaemonProcess.Start("--listen", other.LocalEndpoint.ToString()!);
        var (code, log, errors) = await daemon.WaitForExitAsync();
        Assert.That(code, Is.EqualTo(AddressInUse));
        Assert.That(log, Is.Empty);
        AssertOneSentence(errors, other.LocalEndpoint.ToString()!, "already listens");
    }

    [TestCase("192.0.2.1:0", TestName = "An address of another machine is one sentence")]
    [TestCase("no-such-host.invalid:0", TestName = "A name that does not exist is one sentence")]
    public async Task An_address_that_cannot_be_listened_on_is_one_sentence(string listen)
    {
        await using var daemon = DaemonProcess.Start("--listen", listen);
        var (code, _, errors) = await daemon.WaitForExitAsync();
        Assert.That(code, Is.EqualTo(CannotListen), errors);
        AssertOneSentence(errors, listen.Split(':')[0]);
    }

    [TestCase("--lisen 127.0.0.1:0", "--lisen")]
    [TestCase("--listen", "--listen")]
    [TestCase("--listen nowhere", "--listen")]
    [TestCase("--listen ::1:48148", "in brackets")]
    [TestCase("--listen 127.0.0.1:65536", "--listen")]
    [TestCase("--crossed-calls-timeout 0", "--crossed-calls-timeout")]
    [TestCase("--heartbeat-timeout soon", "--heartbeat-timeout")]
    [TestCase("--heartbeat-timeout 0.19", "--heartbeat-timeout")]
    [TestCase("--heartbeat-timeout 600.1", "--heartbeat-timeout")]
    [TestCase("--heartbeat-timeout 5:00:00", "--heartbeat-timeout")]
    [TestCase("--log-level loud", "--log-level")]
    [TestCase("--log-format xml", "--log-format")]
    [TestCase("--config /nowhere/master.json", "/nowhere/master.json")]
    [TestCase("--config /dev/zero", "/dev/zero")]
    [TestCase("--config /dev/null", "/dev/null")]
    [TestCase("surplus", "surplus")]
    public async Task A_wrong_argument_is_one_sentence_that_names_it(string arguments, string named)
    {
        await using var daemon = DaemonProcess.Start(arguments.Split(' '));
        await AssertUsageErrorAsync(daemon, named);
    }

    [TestCase("COLLECTIVE_MASTER_LISTEN", "nowhere")]
    [TestCase("COLLECTIVE_MASTER_HEARTBEAT_TIMEOUT", "-1")]
    [TestCase("COLLECTIVE_MASTER_LOG_LEVEL", "loud")]
    [TestCase("COLLECTIVE_MASTER_LOG_FORMAT", "xml")]
    [TestCase("COLLECTIVE_MASTER_CONFIG", "/nowhere/master.json")]
    public async Task A_wrong_environment_variable_is_one_sentence_that_names_it(string variable, string value)
    {
        await using var daemon = DaemonProcess.Start(new Dictionary<string, string> { [variable] = value });
        await AssertUsageErrorAsync(daemon, variable);
    }

    [TestCase("""{ "lisen": "127.0.0.1:0" }""", "\"lisen\"", TestName = "An unknown key")]
    [TestCase("""{ "heartbeatTimeout": 0 }""", "\"heartbeatTimeout\"", TestName = "A value out of range")]
    [TestCase("""{ "listen": ["127.0.0.1:0"] }""", "\"listen\"", TestName = "A value of the wrong kind")]
    [TestCase("""{ "logLevel": "debug", "logLevel": "error" }""", "logLevel", TestName = "A key twice")]
    [TestCase("""{ "listen": """, "JSON", TestName = "A file cut off")]
    [TestCase("[]", "JSON object", TestName = "No object")]
    public async Task A_wrong_configuration_file_is_one_sentence_that_names_file_and_key(string content, string named)
    {
        var path = WriteFile(content);
        await using var daemon = DaemonProcess.Start("--config", path);
        var errors = await AssertUsageErrorAsync(daemon, named);
        Assert.That(errors, Does.Contain(path));
    }

    [Test]
    public async Task A_configuration_file_that_is_a_pipe_is_one_sentence()
    {
        var path = Path.Combine(_folder, "pipe");
        using (var mkfifo = Process.Start("mkfifo", [path]))
        {
            await mkfifo.WaitForExitAsync();
        }

        await using var daemon = DaemonProcess.Start("--config", path);
        await AssertUsageErrorAsync(daemon, path);
    }

    [Test]
    public async Task A_configuration_file_that_is_too_large_is_one_sentence()
    {
        await using var daemon = DaemonProcess.Start("--config", WriteFile(new string(' ', (1 << 20) + 1)));
        await AssertUsageErrorAsync(daemon, "1048576 bytes");
    }

    /// <summary>As orchestrators mount them.</summary>
    [Test]
    public async Task A_configuration_file_may_be_a_link()
    {
        var link = Path.Combine(_folder, "link");
        File.CreateSymbolicLink(link, WriteFile("""{ "listen": "127.0.0.1:0" }"""));
        await using var daemon = DaemonProcess.Start("--config", link);
        Assert.That((await daemon.ReadEndPointAsync()).Port, Is.Positive);
    }

    [Test]
    public async Task Arguments_win_over_the_environment_and_that_over_the_file()
    {
        var path = WriteFile("""{ "listen": "127.0.0.1:0", "heartbeatTimeout": 7, /* comments are fine */ }""");
        var environment = new Dictionary<string, string> { ["COLLECTIVE_MASTER_CONFIG"] = path };
        Assert.That(await HeartbeatTimeoutAsync(new Dictionary<string, string>(), "--listen", "127.0.0.1:0"), Is.EqualTo("5 s"));
        Assert.That(await HeartbeatTimeoutAsync(environment), Is.EqualTo("7 s"));
        environment["COLLECTIVE_MASTER_HEARTBEAT_TIMEOUT"] = "";
        Assert.That(await HeartbeatTimeoutAsync(environment), Is.EqualTo("7 s"));
        environment["COLLECTIVE_MASTER_HEARTBEAT_TIMEOUT"] = "0.2";
        Assert.That(await HeartbeatTimeoutAsync(environment), Is.EqualTo("0.2 s"));
        Assert.That(await HeartbeatTimeoutAsync(environment, "--heartbeat-timeout", "00:10:00"), Is.EqualTo("600 s"));
    }

    [Test]
    public async Task Json_log_lines_are_json()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--log-format", "json");
        var first = await daemon.ReadLineAsync();
        daemon.Signal(DaemonProcess.Terminate);
        var (_, log, _) = await daemon.WaitForExitAsync();
        string[] lines = [first!, .. log.Split('\n', StringSplitOptions.RemoveEmptyEntries)];
        Assert.That(lines, Has.Length.AtLeast(2));
        foreach (var line in lines)
        {
            using var json = JsonDocument.Parse(line);
            Assert.That(json.RootElement.GetProperty("@t").GetDateTimeOffset(), Is.Not.EqualTo(default(DateTimeOffset)));
            Assert.That(json.RootElement.GetProperty("@m").GetString(), Is.Not.Empty);
        }

        using var listening = JsonDocument.Parse(lines[0]);
        Assert.That(IPEndPoint.Parse(listening.RootElement.GetProperty("EndPoint").GetString()!).Port, Is.Positive);
    }

    [Test]
    public async Task It_says_where_it_listens_whatever_the_log_level()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--log-level", "fatal");
        Assert.That((await daemon.ReadEndPointAsync()).Port, Is.Positive);
    }

    [Test]
    public async Task Help_names_every_option_and_exit_code()
    {
        await using var daemon = DaemonProcess.Start("--help");
        var (code, help, errors) = await daemon.WaitForExitAsync();
        Assert.That(code, Is.Zero, errors);
        foreach (var word in (string[])["--listen", "--heartbeat-timeout", "--crossed-calls-timeout", "--log-level", "--log-format", "--config", "COLLECTIVE_MASTER_LISTEN", "48148", "Exit codes:"])
        {
            Assert.That(help, Does.Contain(word));
        }
    }

    [Test]
    public async Task Version_is_one_line()
    {
        await using var daemon = DaemonProcess.Start("--version");
        var (code, version, _) = await daemon.WaitForExitAsync();
        Assert.That(code, Is.Zero);
        Assert.That(version, Does.Match(@"^\d+\.\d+\.\d+\S*\n$"));
    }

    private static IPAddress Reachable(IPAddress address)
        => address.Equals(IPAddress.Any) ? IPAddress.Loopback : address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback : address;

    private static async Task<string> HeartbeatTimeoutAsync(IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        await using var daemon = DaemonProcess.Start(environment, arguments);
        var line = await daemon.ReadLineAsync();
        return line?.Split("heartbeat timeout ")[^1] ?? (await daemon.WaitForExitAsync()).Errors;
    }

    private static async Task<string> AssertUsageErrorAsync(DaemonProcess daemon, string named)
    {
        var (code, log, errors) = await daemon.WaitForExitAsync();
        Assert.That(code, Is.EqualTo(Usage), errors);
        Assert.That(log, Is.Empty);
        AssertOneSentence(errors, named);
        return errors;
    }

    private static void AssertOneSentence(string errors, params string[] words)
    {
        Assert.That(errors, Does.StartWith("collective-master: ").And.EndWith(".\n"));
        Assert.That(errors.Count(c => c == '\n'), Is.EqualTo(1), errors);
        foreach (var word in words)
        {
            Assert.That(errors, Does.Contain(word));
        }
    }

    private string WriteFile(string content)
    {
        var path = Path.Combine(_folder, "master.json");
        File.WriteAllText(path, content);
        return path;
    }
}
