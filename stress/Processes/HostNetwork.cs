using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Collective.Stress.Processes;

/// <summary>
/// A network of its own for processes on this machine: hosts (Linux network namespaces) behind one switch. What is cut is silent, as a pulled cable or a
/// firewall that drops: no connection is told that it ended. Needs root and iproute2.
/// </summary>
internal sealed class HostNetwork : IDisposable
{
    private const string Prefix = "collective";

    /// <summary>A frame to this address reaches nobody.</summary>
    private const string Nowhere = "02:00:00:00:ff:ff";

    private static readonly TimeSpan _commandTimeout = TimeSpan.FromSeconds(20);
    private static readonly Lazy<string?> _unavailable = new(FindWhyUnavailable);
    private static int _networks;

    private readonly string _name;
    private readonly int _hosts;
    private readonly HashSet<int> _limited = [];

    private HostNetwork(string name, int hosts)
    {
        _name = name;
        _hosts = hosts;
    }

    /// <summary>Why there can be no such network here, as a reason to skip a test; null when there can.</summary>
    public static string? Unavailable => _unavailable.Value;

    /// <summary>Makes the network; hosts are numbered from 0.</summary>
    public static HostNetwork Create(int hosts)
    {
        RemoveLeftovers();
        var network = new HostNetwork($"{Prefix}-{Environment.ProcessId}-{Interlocked.Increment(ref _networks)}", hosts);
        try
        {
            network.Build();
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>Where a host is reached by the others.</summary>
    public static IPAddress AddressOf(int host) => new([10, 83, (byte)(host / 250), (byte)((host % 250) + 1)]);

    public static IPAddress IPv6AddressOf(int host) => IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"fd83::{host + 1:x}"));

    /// <summary>Without the interface, which is eth0 everywhere.</summary>
    public static IPAddress LinkLocalAddressOf(int host) => IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"fe80::83:{host + 1:x}"));

    /// <summary>Takes all addresses of a family (4 or 6) from a host.</summary>
    public void Without(int host, int family) => Ip("-n", NameOf(host), string.Create(CultureInfo.InvariantCulture, $"-{family}"), "addr", "flush", "dev", "eth0");

    /// <summary>What is larger never gets to this host, and nobody is told.</summary>
    public void DropLargerPackets(int host, int bytes)
    {
        for (var each = 0; each < _hosts; each++)
        {
            Ip("-n", NameOf(each), "link", "set", "eth0", "gso_max_segs", "1"); // Else packets are joined to larger ones, which pass.
        }

        Ip("-n", NameOf(null), "link", "set", PortOf(host), "mtu", bytes.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>What to put in front of a command to run it on a host. The command replaces it: process id and signals are the command's.</summary>
    public IReadOnlyList<string> CommandOn(int host) => ["ip", "netns", "exec", NameOf(host)];

    /// <summary>To make sockets, or start a process, on a host from inside this program.</summary>
    public NetworkNamespace NamespaceOf(int host) => new(NameOf(host));

    /// <summary>Pulls the cable of a host: nothing gets to it or from it.</summary>
    public void Detach(int host) => Ip("-n", NameOf(null), "link", "set", PortOf(host), "nomaster");

    public void Attach(int host) => Ip("-n", NameOf(null), "link", "set", PortOf(host), "master", "switch");

    /// <summary>Drops what one host sends to another, to whichever of its addresses; the other direction stays.</summary>
    public void Cut(int from, int to)
    {
        foreach (var address in AddressesOf(to))
        {
            Ip("-n", NameOf(from), "neigh", "replace", address.ToString(), "lladdr", Nowhere, "dev", "eth0", "nud", "permanent");
        }
    }

    public void Heal(int from, int to)
    {
        foreach (var address in AddressesOf(to))
        {
            Ip("-n", NameOf(from), "neigh", "del", address.ToString(), "dev", "eth0");
        }
    }

    /// <summary>From now on a host sends no more than this to another. Needs a kernel with token buckets (htb).</summary>
    public void Limit(int from, int to, int megabits)
    {
        if (_limited.Add(from))
        {
            Tc(from, "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb", "default", "1");
            Tc(from, "class", "add", "dev", "eth0", "parent", "1:", "classid", "1:1", "htb", "rate", "10gbit");
        }

        var bucket = string.Create(CultureInfo.InvariantCulture, $"1:{to + 2}");
        Tc(from, "class", "add", "dev", "eth0", "parent", "1:", "classid", bucket, "htb", "rate", $"{megabits}mbit");
        Tc(from, "filter", "add", "dev", "eth0", "protocol", "ip", "parent", "1:", "prio", "1", "u32", "match", "ip", "dst", $"{AddressOf(to)}/32", "flowid", bucket);
    }

    /// <summary>Removes the namespaces, and with them everything in the network. Processes in it lose their connections.</summary>
    public void Dispose() => Remove(_name);

    private void Build()
    {
        var hosts = Enumerable.Range(0, _hosts).ToList();
        Batch([$"netns add {NameOf(null)}", .. hosts.Select(host => $"netns add {NameOf(host)}")]);
        Batch(
            [
                "link add switch type bridge",
                "link set switch up",
                .. hosts.Select(host => $"link add {PortOf(host)} type veth peer name eth0 netns {NameOf(host)}"),
                .. hosts.Select(host => $"link set {PortOf(host)} master switch up"),
            ],
            "-n",
            NameOf(null));
        foreach (var host in hosts)
        {
            Batch(
                [
                    $"addr add {AddressOf(host)}/16 dev eth0",
                    "link set eth0 up",
                    "link set lo up",
                    $"addr add {IPv6AddressOf(host)}/64 dev eth0 nodad",
                    $"addr add {LinkLocalAddressOf(host)}/64 dev eth0 nodad",
                ],
                "-n",
                NameOf(host));
        }
    }

    private static IPAddress[] AddressesOf(int host) => [AddressOf(host), IPv6AddressOf(host), LinkLocalAddressOf(host)];

    private string NameOf(int? host) => string.Create(CultureInfo.InvariantCulture, $"{_name}-{(host is { } number ? number : "switch")}");

    private static string PortOf(int host) => string.Create(CultureInfo.InvariantCulture, $"port{host}");

    private static string? FindWhyUnavailable()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "network namespaces exist on Linux only";
        }

        if (!Environment.IsPrivilegedProcess)
        {
            return "network namespaces need root";
        }

        try
        {
            using var network = Create(1);
            network.Detach(0);
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return $"no network namespaces here (iproute2 and the rights to use it are needed): {e.Message}";
        }
    }

    /// <summary>Of processes that ended without removing theirs.</summary>
    private static void RemoveLeftovers()
    {
        var owners = Names().Select(n => n.Split('-')).Where(parts => parts is [Prefix, _, _, _]).Select(parts => (Id: parts[1], Network: string.Join('-', parts[..3]))).Distinct();
        foreach (var (id, network) in owners)
        {
            if (!Directory.Exists($"/proc/{id}"))
            {
                EndProcesses(network); // A frozen one has not noticed that its maker is gone.
                Remove(network);
            }
        }
    }

    private static void EndProcesses(string network)
    {
        foreach (var name in Names(network))
        {
            try
            {
                foreach (var process in Ip("netns", "pids", name).Split('\n', StringSplitOptions.RemoveEmptyEntries))
                {
                    Signals.Send(int.Parse(process, CultureInfo.InvariantCulture), Signals.Kill);
                }
            }
            catch (InvalidOperationException)
            {
                // Another process has removed it.
            }
        }
    }

    private static void Remove(string network)
    {
        foreach (var name in Names(network))
        {
            try
            {
                Ip("netns", "del", name);
            }
            catch (InvalidOperationException)
            {
                // Another process has removed it.
            }
        }
    }

    private static IEnumerable<string> Names(string network) => Names().Where(name => name.StartsWith($"{network}-", StringComparison.Ordinal));

    private static string[] Names() => [.. Ip("netns", "list").Split('\n').Select(line => line.Split(' ')[0]).Where(name => name.Length > 0)];

    /// <summary>Runs ip once for many commands.</summary>
    private static void Batch(IEnumerable<string> commands, params string[] options) => Run("ip", [.. options, "-batch", "-"], string.Join('\n', commands) + "\n");

    /// <summary>Runs ip and gives what it printed.</summary>
    private static string Ip(params string[] arguments) => Run("ip", arguments, "");

    private void Tc(int host, params string[] arguments) => Run("tc", ["-n", NameOf(host), .. arguments], "");

    private static string Run(string program, string[] arguments, string input)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        if (!process.WaitForExit(_commandTimeout))
        {
            process.Kill();
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} has not ended within {_commandTimeout.TotalSeconds} s");
        }

        return process.ExitCode == 0 ? output.Result : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {error.Result.Trim()}");
    }
}
