using System.Diagnostics;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>
/// Hosts of its own for each peer and the master: network namespaces on one bridge. Between two peers the kernel lets through what a test allows.
/// Nothing of it touches the host's own network, and disposing removes it.
/// </summary>
internal sealed class SlowNetwork : IDisposable
{
    private readonly string _name = $"collective-{Environment.ProcessId}-{Guid.NewGuid():N}"[..28];
    private readonly List<string> _namespaces = [];

    /// <summary>Makes the hosts; ends the test as skipped where that is not possible.</summary>
    public SlowNetwork(int peers)
    {
        try
        {
            Add("hub");
            Run($"ip -n {Of("hub")} link add bridge type bridge");
            Run($"ip -n {Of("hub")} addr add {Address(0)}/24 dev bridge");
            Run($"ip -n {Of("hub")} link set bridge up");
            for (var i = 1; i <= peers; i++)
            {
                var host = Of($"{i}");
                Add($"{i}");
                Run($"ip -n {Of("hub")} link add port{i} type veth peer name uplink netns {host}");
                Run($"ip -n {Of("hub")} link set port{i} master bridge up");
                Run($"ip -n {host} addr add {Address(i)}/24 dev uplink");
                Run($"ip -n {host} link set uplink up");
                Run($"ip -n {host} link set lo up");
                Run($"tc -n {host} qdisc add dev uplink root handle 1: htb default 10");
                Run($"tc -n {host} class add dev uplink parent 1: classid 1:10 htb rate 10gbit");
            }
        }
        catch (InvalidOperationException e)
        {
            Dispose();
            Assert.Ignore($"needs root and network namespaces with token buckets (iproute2, htb): {e.Message}");
        }
    }

    public static string Address(int peer) => $"10.99.0.{peer + 1}";

    /// <summary>What runs a process on the host of a peer; 0 is the master's.</summary>
    public string[] Through(int peer) => ["ip", "netns", "exec", Of(peer == 0 ? "hub" : $"{peer}")];

    /// <summary>From now on a peer sends no more than this to another.</summary>
    public void Limit(int from, int to, int megabits)
    {
        Run($"tc -n {Of($"{from}")} class add dev uplink parent 1: classid 1:{to}00 htb rate {megabits}mbit");
        Run($"tc -n {Of($"{from}")} filter add dev uplink protocol ip parent 1: prio 1 u32 match ip dst {Address(to)}/32 flowid 1:{to}00");
    }

    public void Dispose()
    {
        foreach (var host in _namespaces)
        {
            Run($"ip netns del {host}");
        }

        _namespaces.Clear();
    }

    private string Of(string host) => $"{_name}-{host}";

    private void Add(string host)
    {
        Run($"ip netns add {Of(host)}");
        _namespaces.Add(Of(host));
    }

    private static void Run(string command)
    {
        var words = command.Split(' ');
        try
        {
            using var process = Process.Start(new ProcessStartInfo(words[0], words[1..]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            var said = process.StandardError.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
            {
                throw new InvalidOperationException($"'{command}' says: {said.Trim()}");
            }
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException($"'{command}': {e.Message}", e);
        }
    }
}
